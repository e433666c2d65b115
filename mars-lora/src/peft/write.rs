//! Writes an adapter directory.

use super::{CONFIG_FILE, PeftConfig, WEIGHTS_FILE, tensor_names};
use crate::{Adapter, Component, Error, Site};
use safetensors::tensor::{Dtype, TensorView, serialize};
use std::collections::HashMap;
use std::path::Path;

/// What the model card says beside the ranks.
#[derive(Clone, Debug, Default)]
pub struct Provenance {
    /// Name or path of the base model.
    pub base_model: String,
    /// Markdown paragraphs for the card, for example how the ranks were chosen.
    pub summary: String,
}

/// Writes `adapter` into `dir` (created if needed): configuration, tensors and model card.
///
/// # Errors
/// [`Error::Io`], and those of [`PeftConfig::pattern`].
pub fn write(
    dir: &Path,
    adapter: &Adapter,
    components: &[Component],
    sites: &[Site],
    provenance: &Provenance,
) -> Result<PeftConfig, Error> {
    let config = PeftConfig::pattern(adapter, components, sites, &provenance.base_model)?;
    std::fs::create_dir_all(dir).map_err(|source| Error::Io { path: dir.to_path_buf(), source })?;
    let put = |name: &str, bytes: &[u8]| {
        let path = dir.join(name);
        std::fs::write(&path, bytes).map_err(|source| Error::Io { path, source })
    };
    put(WEIGHTS_FILE, &tensors(adapter, dir)?)?;
    let json = serde_json::to_string_pretty(&config)
        .map_err(|e| Error::BadFile { path: dir.join(CONFIG_FILE), why: e.to_string() })?;
    put(CONFIG_FILE, json.as_bytes())?;
    put("README.md", card(adapter, provenance).as_bytes())?;
    Ok(config)
}

fn tensors(adapter: &Adapter, dir: &Path) -> Result<Vec<u8>, Error> {
    let bytes = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>();
    let mut parts = Vec::with_capacity(2 * adapter.factors.len());
    for f in &adapter.factors {
        let (a, b) = tensor_names(&f.path);
        parts.push((a, vec![f.rank, f.inputs], bytes(&f.a)));
        parts.push((b, vec![f.outputs, f.rank], bytes(&f.b)));
    }
    let bad =
        |e: safetensors::SafeTensorError| Error::BadFile { path: dir.join(WEIGHTS_FILE), why: e.to_string() };
    let mut views = Vec::with_capacity(parts.len());
    for (name, shape, data) in &parts {
        views.push((name, TensorView::new(Dtype::F32, shape.clone(), data).map_err(bad)?));
    }
    let metadata = HashMap::from([("format".to_string(), "pt".to_string())]);
    serialize(views, Some(metadata)).map_err(bad)
}

fn card(adapter: &Adapter, provenance: &Provenance) -> String {
    let ranks = adapter.config.ranks.iter().filter(|(_, rank)| **rank > 0);
    let rows: Vec<String> = ranks
        .map(|(name, rank)| format!("| {name} | {rank} | {} |", adapter.config.scale.scale(*rank)))
        .collect();
    format!(
        "---\nbase_model: {base}\nlibrary_name: peft\npipeline_tag: image-text-to-text\ntags:\n\
         - base_model:adapter:{base}\n- lora\n- transformers\n- mars\n---\n\n# LoRA adapter\n\n{summary}\n\n\
         | module | rank | scale |\n|---|---|---|\n{rows}\n",
        base = provenance.base_model,
        summary = provenance.summary,
        rows = rows.join("\n"),
    )
}
