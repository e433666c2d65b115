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
        format!("| {} | {layers} | {rank} | {} |", cell(module), f64::from_bits(scale))
    });
    let variant = if adapter.config.dora { "DoRA" } else { "LoRA" };
    format!(
        "---\nbase_model: {base}\nlibrary_name: peft\npipeline_tag: image-text-to-text\ntags:\n\
         - {tag}\n- lora\n- transformers\n- mars\n---\n\n# {variant} adapter\n\n{summary}\n\n\
         | module | layers | rank | scale |\n|---|---|---|---|\n{rows}\n\nLayout `{layout}`.\n",
        base = scalar(&provenance.base_model),
        tag = scalar(&format!("base_model:adapter:{}", provenance.base_model)),
        summary = provenance.summary,
        rows = rows.collect::<Vec<_>>().join("\n"),
    )
}

/// `text` as a YAML scalar: plain where it is the id of a hub or a usual path, otherwise in double quotes.
fn scalar(text: &str) -> String {
    let usual = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-');
    let inner = |c: char| usual(c) || c == ':';
    let letters = |text: &str| text.chars().any(|c| c.is_ascii_alphabetic());
    // What YAML takes for a number or a word of its own (`1.5`, `1e3`, `null`) has no slash.
    let plain = text.contains('/')
        && text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/')
        && text.chars().all(inner)
        && !text.ends_with(':')
        && letters(text);
    if plain {
        return text.to_owned();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // What YAML does not print, takes for a line end, or for the mark of its encoding.
            c if c.is_control()
                || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}') =>
            {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// `text` in a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a YAML reader makes of them is in `tests/oracle/card.py`.
    #[test]
    fn scalars_are_quoted_where_yaml_needs_it() {
        for (text, scalar_of) in [
            ("owner/model-1.5_b", "owner/model-1.5_b"),
            ("/data/models/own", "/data/models/own"),
            ("base_model:adapter:owner/model", "base_model:adapter:owner/model"),
            ("", "\"\""),
            ("1.5", "\"1.5\""),
            ("null", "\"null\""),
            ("1/2", "\"1/2\""),
            ("-/a", "\"-/a\""),
            ("/a: b #c", "\"/a: b #c\""),
            ("/a\"b\\c\nd\t\u{1b}\u{85}\u{2028}é🎲", "\"/a\\\"b\\\\c\\nd\\t\\u001b\\u0085\\u2028é🎲\""),
            ("C:\\models", "\"C:\\\\models\""),
            ("/a:", "\"/a:\""),
        ] {
            assert_eq!(scalar(text), scalar_of, "{text:?}");
        }
    }

    #[test]
    fn cells_stay_cells() {
        assert_eq!(cell("a|b\nc"), "a\\|b c");
    }
}
