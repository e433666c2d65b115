//! `config.json` of Idefics3 and SmolVLM checkpoints.
//!
//! Defaults are those of `Idefics3VisionConfig`, `LlamaConfig` and `Idefics3Config` (transformers 4.57).

use crate::Error;
use crate::model::core::config_file::ConfigFile;
use crate::model::core::siglip::SiglipConfig;
use crate::model::core::text_config::{self, TextConfig};
use crate::model::llava::config::Kind;
use serde::Deserialize;
use serde_json::json;
use std::path::Path;

/// The whole model.
#[derive(Clone, Debug, PartialEq)]
pub struct Idefics3Config {
    /// Vision encoder.
    pub vision_config: SiglipConfig,
    /// Language model.
    pub text_config: TextConfig,
    /// The image token, one for each image feature; default 128257.
    pub image_token_id: u32,
    /// Patches are merged `scale_factor` by `scale_factor`; default 2.
    pub scale_factor: usize,
    /// Whether the output layer is the embedding table; default not.
    pub tie_word_embeddings: bool,
}

#[derive(Deserialize)]
struct Whole {
    image_token_id: u32,
    scale_factor: usize,
    tie_word_embeddings: bool,
}

impl Idefics3Config {
    /// Reads and checks `config.json` in `dir`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`], and [`Error::Config`] for a model that is not of this family
    /// or whose sizes contradict each other.
    pub fn from_dir(dir: &Path) -> Result<Self, Error> {
        let file = ConfigFile::read(dir)?;
        let whole: Whole = file.section(
            None,
            json!({"image_token_id": 128_257, "scale_factor": 2, "tie_word_embeddings": false}),
        )?;
        let vision = json!({
            "hidden_size": 1152, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 16,
            "num_channels": 3, "image_size": 224, "patch_size": 32, "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
        });
        let kind: Kind = file.section(Some("text_config"), json!({"model_type": "llama"}))?;
        if kind.model_type != "llama" {
            let what = format!("text_config.model_type is `{}`, expected `llama`", kind.model_type);
            return file.checked(Err(what));
        }
        let text = TextConfig::read(&file, Some("text_config"), text_config::llama())?;
        let config = Self {
            vision_config: file.section(Some("vision_config"), vision)?,
            tie_word_embeddings: text.tie_word_embeddings.unwrap_or(whole.tie_word_embeddings),
            text_config: text,
            image_token_id: whole.image_token_id,
            scale_factor: whole.scale_factor,
        };
        file.require(config.check(file.model_type()))?;
        Ok(config)
    }

    /// Image tokens of one full tile: `(image_size / patch_size)^2 / scale_factor^2`.
    pub fn tokens_per_tile(&self) -> usize {
        self.vision_config.side().pow(2) / self.scale_factor.pow(2)
    }

    fn check(&self, model_type: &str) -> Result<(), String> {
        if !["idefics3", "smolvlm"].contains(&model_type) {
            return Err(format!("model_type is `{model_type}`, expected `idefics3` or `smolvlm`"));
        }
        self.vision_config.check()?;
        self.text_config.check()?;
        // Tiles may be smaller than `image_size`: whether the factor divides theirs is checked where the tiles are
        // known.
        let (side, scale) = (self.vision_config.side(), self.scale_factor);
        if !(1..=side).contains(&scale) {
            return Err(format!(
                "scale_factor is {scale}, expected 1 to {side}, the patches along a side of an image"
            ));
        }
        Ok(())
    }
}
