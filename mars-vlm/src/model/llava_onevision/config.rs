//! `config.json` of LLaVA-OneVision checkpoints.
//!
//! Defaults are those of `LlavaOnevisionConfig`, `SiglipVisionConfig` and `Qwen2Config` (transformers 4.57).

use crate::Error;
use crate::model::core::config_file::ConfigFile;
use crate::model::core::siglip::SiglipConfig;
use crate::model::core::text_config::{self, TextConfig};
use crate::model::llava::LlavaConfig;
use crate::model::llava::config::{Kind, Whole};
use crate::processor::llava_onevision::default_sides;
use serde_json::json;
use std::path::Path;

/// Reads and checks `config.json` in `dir`.
///
/// # Errors
/// [`Error::Io`], [`Error::Malformed`], and [`Error::Config`] for a model that is not of this family
/// or whose sizes contradict each other.
pub(super) fn read(dir: &Path) -> Result<LlavaConfig, Error> {
    let file = ConfigFile::read(dir)?;
    let defaults = json!({
        "projector_hidden_act": "gelu", "multimodal_projector_bias": true, "vision_feature_layer": -1,
        "vision_feature_select_strategy": "full", "tie_word_embeddings": false,
    });
    let whole: Whole = file.section(None, defaults)?;
    let given = file.has("vision_config");
    let [image_size, patch_size] = default_sides(given);
    let vision = match given {
        true => json!({
            "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
            "num_channels": 3, "image_size": image_size, "patch_size": patch_size, "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
        }),
        false => json!({
            "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 26, "num_attention_heads": 16,
            "num_channels": 3, "image_size": image_size, "patch_size": patch_size, "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
        }),
    };
    let kind: Kind = file.section(Some("text_config"), json!({"model_type": "qwen2"}))?;
    let defaults = match kind.model_type.as_str() {
        "llama" => text_config::llama(),
        _ => text_config::qwen2(),
    };
    let text = TextConfig::read(&file, Some("text_config"), defaults)?;
    let vision_config: SiglipConfig = file.section(Some("vision_config"), vision)?;
    file.require(check(file.model_type(), &kind, &whole, &vision_config, &text))?;
    LlavaConfig::of(&file, whole, (vision_config, false), text, true)
}

fn check(
    model_type: &str,
    kind: &Kind,
    whole: &Whole,
    vision: &SiglipConfig,
    text: &TextConfig,
) -> Result<(), String> {
    if model_type != "llava_onevision" {
        return Err(format!("model_type is `{model_type}`, expected `llava_onevision`"));
    }
    if !["qwen2", "llama"].contains(&kind.model_type.as_str()) {
        return Err(format!("text_config.model_type is `{}`, expected `qwen2` or `llama`", kind.model_type));
    }
    if whole.vision_feature_select_strategy != "full" {
        let found = &whole.vision_feature_select_strategy;
        return Err(format!("vision_feature_select_strategy is `{found}`, expected `full`"));
    }
    vision.check()?;
    text.check()
}
