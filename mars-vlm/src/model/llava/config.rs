//! `config.json` of LLaVA and LLaVA-NeXT checkpoints.
//!
//! Defaults are those of `LlavaConfig`, `LlavaNextConfig`, `CLIPVisionConfig`, `SiglipVisionConfig` and of the decoders'
//! configurations (transformers 4.57).

use crate::Error;
use crate::model::core::activation::Activation;
use crate::model::core::config_file::ConfigFile;
use crate::model::core::feature_layers::{FeatureLayers, LayerNumbers};
use crate::model::core::siglip::SiglipConfig;
use crate::model::core::text_config::{self, TextConfig};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::Path;

/// The whole model.
#[derive(Clone, Debug, PartialEq)]
pub struct LlavaConfig {
    /// Sizes of the vision encoder.
    pub vision_config: SiglipConfig,
    /// Whether it is CLIP's, with a class token; otherwise it is SigLIP's.
    pub clip: bool,
    /// Language model.
    pub text_config: TextConfig,
    /// Which states of the encoder are features.
    pub feature_layers: FeatureLayers,
    /// Rows of a state that are left out at its beginning: 1 for the strategy `default`, whatever the first row is.
    pub skipped: usize,
    /// Activation of the projector.
    pub projector_act: Activation,
    /// Whether the projector has biases.
    pub projector_bias: bool,
    /// Whether the output layer is the embedding table.
    pub tie_word_embeddings: bool,
    /// Whether images are tiled and their rows end with a learnt embedding, as in LLaVA-NeXT and LLaVA-OneVision.
    pub newline: bool,
}

/// What `config.json` says beside encoder and decoder.
#[derive(Deserialize)]
pub(in crate::model) struct Whole {
    projector_hidden_act: String,
    multimodal_projector_bias: bool,
    vision_feature_layer: LayerNumbers,
    pub(in crate::model) vision_feature_select_strategy: String,
    tie_word_embeddings: bool,
}

/// Which encoder or decoder it is.
#[derive(Deserialize)]
pub(in crate::model) struct Kind {
    pub(in crate::model) model_type: String,
}

/// The window of Mistral, whose null says that there is none.
#[derive(Deserialize)]
struct Window {
    sliding_window: usize,
}

impl LlavaConfig {
    /// Reads and checks `config.json` in `dir`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`], and [`Error::Config`] for a model that is not of this family
    /// or whose sizes contradict each other.
    pub fn from_dir(dir: &Path) -> Result<Self, Error> {
        let file = ConfigFile::read(dir)?;
        if !["llava", "llava_next"].contains(&file.model_type()) {
            let what = format!("model_type is `{}`, expected `llava` or `llava_next`", file.model_type());
            return file.checked(Err(what));
        }
        let defaults = json!({
            "projector_hidden_act": "gelu", "multimodal_projector_bias": true, "vision_feature_layer": -2,
            "vision_feature_select_strategy": "default", "tie_word_embeddings": false,
        });
        let whole: Whole = file.section(None, defaults)?;
        let (vision_config, clip) = encoder(&file)?;
        let text_config = decoder(&file)?;
        let newline = file.model_type() == "llava_next";
        Self::of(&file, whole, (vision_config, clip), text_config, newline)
    }

    /// The model that `whole` makes of its parts, with rows that end with a learnt embedding if `newline` says so.
    ///
    /// # Errors
    /// [`Error::Config`] where they contradict each other.
    pub(in crate::model) fn of(
        file: &ConfigFile,
        whole: Whole,
        (vision_config, clip): (SiglipConfig, bool),
        text_config: TextConfig,
        newline: bool,
    ) -> Result<Self, Error> {
        let layers = FeatureLayers::counted(whole.vision_feature_layer, vision_config.num_hidden_layers);
        let projector_act = Activation::named(&whole.projector_hidden_act);
        let skipped = match whole.vision_feature_select_strategy.as_str() {
            "default" => Ok(1),
            "full" => Ok(0),
            other => {
                Err(format!("vision_feature_select_strategy is `{other}`, expected `default` or `full`"))
            }
        };
        let config = Self {
            feature_layers: file.checked(layers)?,
            clip,
            skipped: file.checked(skipped)?,
            projector_act: file
                .checked(projector_act.map_err(|why| format!("projector_hidden_act {why}")))?,
            projector_bias: whole.multimodal_projector_bias,
            tie_word_embeddings: text_config.tie_word_embeddings.unwrap_or(whole.tie_word_embeddings),
            newline,
            vision_config,
            text_config,
        };
        file.require(config.check())?;
        Ok(config)
    }

    /// Rows of a state of the encoder: one for each patch of a tile, and one for the class token, if there is one.
    pub fn rows(&self) -> usize {
        self.vision_config.side().pow(2) + usize::from(self.clip)
    }

    fn check(&self) -> Result<(), String> {
        let (patches, features) =
            (self.vision_config.side().pow(2), self.rows().saturating_sub(self.skipped));
        if features == 0 {
            return Err(
                "vision_feature_select_strategy is `default`, which leaves out the only patch of a tile"
                    .to_string(),
            );
        }
        if self.newline && features != patches {
            return Err(format!(
                "vision_feature_select_strategy leaves {features} features of {patches} patches, expected one for each: \
                 `default` with CLIP, `full` with SigLIP"
            ));
        }
        Ok(())
    }
}

/// Sizes of the vision encoder, and whether it is CLIP's.
fn encoder(file: &ConfigFile) -> Result<(SiglipConfig, bool), Error> {
    const SECTION: &str = "vision_config";
    let kind: Kind = file.section(Some(SECTION), json!({"model_type": "clip_vision_model"}))?;
    let base = |more: Value| {
        let mut all = json!({
            "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
            "num_channels": 3, "image_size": 224,
        });
        if let (Value::Object(all), Value::Object(more)) = (&mut all, more) {
            all.extend(more);
        }
        all
    };
    let clip = base(json!({"patch_size": 32, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5}));
    let (defaults, is_clip) = match kind.model_type.as_str() {
        _ if !file.has(SECTION) => {
            let large = json!({
                "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
                "num_channels": 3, "image_size": 336, "patch_size": 14, "hidden_act": "quick_gelu",
                "layer_norm_eps": 1e-5,
            });
            (large, true)
        }
        "clip_vision_model" => (clip, true),
        "siglip_vision_model" => {
            let more = json!({"patch_size": 16, "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-6});
            (base(more), false)
        }
        other => {
            let what = format!(
                "{SECTION}.model_type is `{other}`, expected `clip_vision_model` or `siglip_vision_model`"
            );
            return file.checked(Err(what));
        }
    };
    let config: SiglipConfig = file.section(Some(SECTION), defaults)?;
    file.require(config.check())?;
    Ok((config, is_clip))
}

/// Sizes of the decoder.
fn decoder(file: &ConfigFile) -> Result<TextConfig, Error> {
    const SECTION: &str = "text_config";
    let kind: Kind = file.section(Some(SECTION), json!({"model_type": "llama"}))?;
    let defaults = match kind.model_type.as_str() {
        "llama" => text_config::llama(),
        "mistral" => text_config::mistral(),
        "qwen2" => text_config::qwen2(),
        other => {
            let what = format!("{SECTION}.model_type is `{other}`, expected `llama`, `mistral` or `qwen2`");
            return file.checked(Err(what));
        }
    };
    let mut config = TextConfig::read(file, Some(SECTION), defaults)?;
    if kind.model_type == "mistral" && !file.is_null(Some(SECTION), "sliding_window") {
        let window: Window = file.section(Some(SECTION), json!({"sliding_window": 4096}))?;
        config.window = Some(window.sliding_window);
    }
    if config.window == Some(0) {
        return file.checked(Err(format!("{SECTION}.sliding_window is 0, expected 1 or more, or null")));
    }
    file.require(config.check())?;
    Ok(config)
}
