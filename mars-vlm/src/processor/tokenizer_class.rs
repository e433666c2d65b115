//! Classes of tokenizers in transformers, and those that open and close texts by settings of their own.

use super::files;
use crate::Error;
use serde_json::{Map, Value};
use std::path::Path;

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

/// Classes by the `model_type` of `config.json`, those of `AutoTokenizer` in transformers 4.57.3, which has none for SmolVLM.
const OF_MODELS: &[(&str, &str)] = &[
    ("gemma3", "GemmaTokenizer"),
    ("idefics3", "LlamaTokenizer"),
    ("internvl", "Qwen2Tokenizer"),
    ("llava", "LlamaTokenizer"),
    ("llava_next", "LlamaTokenizer"),
    ("llava_onevision", "LlamaTokenizer"),
    ("qwen2_5_vl", "Qwen2Tokenizer"),
    ("qwen2_vl", "Qwen2Tokenizer"),
    ("qwen3_vl", "Qwen2Tokenizer"),
];

/// The class of the tokenizer in `dir`, without `Fast`: the one that its `tokenizer_config.json`, which is `config`, names,
/// otherwise the one that `config.json` names, otherwise that of the model.
///
/// # Errors
/// [`Error::Io`] and [`Error::Malformed`] of `config.json`.
pub(crate) fn of_dir(dir: &Path, config: &Map<String, Value>) -> Result<Option<String>, Error> {
    let named = |map: &Map<String, Value>| {
        let class = map.get("tokenizer_class")?.as_str()?;
        Some(class.strip_suffix("Fast").unwrap_or(class).to_string())
    };
    if let Some(class) = named(config) {
        return Ok(Some(class));
    }
    let model = files::object(&dir.join("config.json"))?.unwrap_or_default();
    let kind = model.get("model_type").and_then(Value::as_str);
    let usual = OF_MODELS.iter().find(|(known, _)| Some(*known) == kind);
    Ok(named(&model).or(usual.map(|(_, class)| (*class).to_string())))
}

/// What a class opens and closes texts with, if it does not leave that to `tokenizer.json`.
pub(crate) fn framing(class: &str) -> Option<&'static Framing> {
    FRAMINGS.iter().find(|framing| framing.class == class)
}
