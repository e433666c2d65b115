//! Classes of tokenizers in transformers that open and close texts by settings of their own.

use serde_json::{Map, Value};

/// A class that replaces the post-processor of `tokenizer.json`.
pub(crate) struct Framing {
    /// Its name without `Fast`.
    class: &'static str,
    /// What opens a text where `tokenizer_config.json` has no `bos_token`.
    pub(crate) bos: &'static str,
    /// What closes a text where it has no `eos_token`.
    pub(crate) eos: &'static str,
}

const FRAMINGS: &[Framing] = &[
    Framing { class: "LlamaTokenizer", bos: "<s>", eos: "</s>" },
    Framing { class: "CodeLlamaTokenizer", bos: "<s>", eos: "</s>" },
    Framing { class: "GemmaTokenizer", bos: "<bos>", eos: "<eos>" },
];

/// The class that a `tokenizer_config.json` names, without `Fast`.
pub(crate) fn named(config: &Map<String, Value>) -> Option<&str> {
    let class = config.get("tokenizer_class")?.as_str()?;
    Some(class.strip_suffix("Fast").unwrap_or(class))
}

/// What its class opens and closes texts with, if it does not leave that to `tokenizer.json`.
pub(crate) fn framing(config: &Map<String, Value>) -> Option<&'static Framing> {
    let class = named(config)?;
    FRAMINGS.iter().find(|framing| framing.class == class)
}
