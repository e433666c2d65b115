//! The model card of an adapter.

use super::PeftLayout;
use super::layout::Entry;
use crate::{Adapter, Site};
use std::collections::BTreeMap;

/// What the model card says in addition to the ranks.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// Name or path of the base model.
    pub base_model: String,
    /// Markdown paragraphs for the card, for example how the ranks were chosen.
    pub summary: String,
}

/// The text of `README.md`.
pub(super) fn card(
    adapter: &Adapter,
    entries: &[Entry],
    sites: &[Site],
    layout: PeftLayout,
    provenance: &Provenance,
) -> String {
    let mut rows: BTreeMap<(&str, usize, u64), usize> = BTreeMap::new();
    for factors in &adapter.factors {
        let Some(entry) = entries.iter().find(|entry| sites[entry.site].path == factors.path) else {
            continue;
        };
        let scale = adapter.config.site_scale(&factors.path, factors.rank);
        let key = (sites[entry.site].module.as_str(), factors.rank, scale.to_bits());
        *rows.entry(key).or_insert(0) += 1;
    }
    let rows = rows.into_iter().map(|((module, rank, scale), layers)| {
        format!("| {module} | {layers} | {rank} | {} |", f64::from_bits(scale))
    });
    let variant = if adapter.config.dora { "DoRA" } else { "LoRA" };
    format!(
        "---\nbase_model: {base}\nlibrary_name: peft\npipeline_tag: image-text-to-text\ntags:\n\
         - base_model:adapter:{base}\n- lora\n- transformers\n- mars\n---\n\n# {variant} adapter\n\n{summary}\n\n\
         | module | layers | rank | scale |\n|---|---|---|---|\n{rows}\n\nLayout `{layout}`.\n",
        base = provenance.base_model,
        summary = provenance.summary,
        rows = rows.collect::<Vec<_>>().join("\n"),
    )
}
