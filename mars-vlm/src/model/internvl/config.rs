//! `config.json` of InternVL3 checkpoints in the layout of `transformers`.
//!
//! Defaults are those of `InternVLConfig` and `InternVLVisionConfig` (transformers 4.57).

use crate::Error;
use crate::model::core::activation::Activation;
use crate::model::core::config_file::{ConfigFile, limits};
use crate::model::core::sizes::LayerSizes;
use crate::model::core::text_config::{self, TextConfig};
use serde::Deserialize;
use serde_json::json;
use std::path::Path;

/// The vision encoder, InternViT.
///
/// Accepted: widths 1 to 2^20, numbers of blocks and heads 1 to 2^14, sides 1 to 2^14 pixels, 3 channels, a width that the
/// heads divide, square images and patches.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct InternVlVisionConfig {
    /// Width.
    pub hidden_size: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Number of attention heads.
    pub num_attention_heads: usize,
    /// Colour channels; 3.
    pub num_channels: usize,
    /// Height and width of the tiles that have positions of their own, pixels; those of others are stretched.
    pub image_size: Sides,
    /// Height and width of a patch, pixels.
    pub patch_size: Sides,
    /// Biases of queries, keys and values.
    pub attention_bias: bool,
    /// Norms of queries and keys, each over all heads.
    pub use_qk_norm: bool,
    /// Norms of the blocks; `layer_norm` or `rms_norm`.
    pub norm_type: String,
    /// Added to variances or mean squares.
    pub layer_norm_eps: f64,
    /// Activation of the feed-forward layers.
    pub hidden_act: String,
    /// Whether the class token and each patch have a learnt position.
    pub use_absolute_position_embeddings: bool,
    /// Whether the features are those of the last block as they are; if not, they go through a layer norm.
    pub use_mean_pooling: bool,
}

/// Height and width, or one number for both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Sides {
    /// Of a square.
    Square(usize),
    /// Height and width.
    Both([usize; 2]),
}

impl Sides {
    /// The side of the square, if it is one.
    pub fn square(self) -> Option<usize> {
        match self {
            Self::Square(side) => Some(side),
            Self::Both([height, width]) => (height == width).then_some(height),
        }
    }
}

/// The whole model.
#[derive(Clone, Debug, PartialEq)]
pub struct InternVlConfig {
    /// Vision encoder.
    pub vision_config: InternVlVisionConfig,
    /// Language model.
    pub text_config: TextConfig,
    /// Patches along a side of what becomes one token: 1 / `downsample_ratio`; default 2.
    pub merge: usize,
    /// Activation of the encoder's feed-forward layers, and of the projector.
    pub(super) activations: [Activation; 2],
    /// Whether the output layer is the embedding table.
    pub tie_word_embeddings: bool,
}

#[derive(Deserialize)]
struct Whole {
    downsample_ratio: f64,
    projector_hidden_act: String,
    vision_feature_layer: i64,
    vision_feature_select_strategy: String,
    tie_word_embeddings: bool,
}

#[derive(Deserialize)]
struct Kind {
    model_type: String,
}

impl InternVlConfig {
    /// Reads and checks `config.json` in `dir`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`], and [`Error::Config`] for a model that is not of this family
    /// or whose sizes contradict each other.
    pub fn from_dir(dir: &Path) -> Result<Self, Error> {
        let file = ConfigFile::read(dir)?;
        if file.model_type() != "internvl" {
            let what = format!("model_type is `{}`, expected `internvl`", file.model_type());
            return Err(Error::config(&file.path, what, crate::processor::supported()));
        }
        let whole: Whole = file.section(
            None,
            json!({
                "downsample_ratio": 0.5, "projector_hidden_act": "gelu", "vision_feature_layer": -1,
                "vision_feature_select_strategy": "default", "tie_word_embeddings": false,
            }),
        )?;
        let vision = json!({
            "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16,
            "num_channels": 3, "image_size": [448, 448], "patch_size": [14, 14], "attention_bias": false,
            "use_qk_norm": false, "norm_type": "layer_norm", "layer_norm_eps": 1e-6, "hidden_act": "gelu",
            "use_absolute_position_embeddings": true, "use_mean_pooling": true,
        });
        let vision_config: InternVlVisionConfig = file.section(Some("vision_config"), vision)?;
        let kind: Kind = file.section(Some("text_config"), json!({"model_type": "qwen2"}))?;
        let (defaults, head_norms) = match kind.model_type.as_str() {
            "qwen2" => (text_config::qwen2(), false),
            "qwen3" => (text_config::qwen3(), true),
            "llama" => (text_config::llama(), false),
            other => {
                let what =
                    format!("text_config.model_type is `{other}`, expected `qwen2`, `qwen3` or `llama`");
                return Err(Error::config(&file.path, what, crate::processor::supported()));
            }
        };
        let mut text = TextConfig::read(&file, Some("text_config"), defaults)?;
        text.head_norms = head_norms;
        let refuse = |what| Error::config(&file.path, what, crate::processor::supported());
        let checked = vision_config.check().and_then(|()| text.check()).and_then(|()| whole.check());
        checked.map_err(refuse)?;
        let named =
            |at: &str, name: &str| Activation::named(name).map_err(|why| refuse(format!("{at} {why}")));
        Ok(Self {
            activations: [
                named("vision_config.hidden_act", &vision_config.hidden_act)?,
                named("projector_hidden_act", &whole.projector_hidden_act)?,
            ],
            merge: merge(whole.downsample_ratio).map_err(refuse)?,
            tie_word_embeddings: text.tie_word_embeddings.unwrap_or(whole.tie_word_embeddings),
            vision_config,
            text_config: text,
        })
    }
}

impl Whole {
    fn check(&self) -> Result<(), String> {
        if self.vision_feature_layer != -1 {
            let layer = self.vision_feature_layer;
            return Err(format!("vision_feature_layer is {layer}, expected -1, the last"));
        }
        let strategy = &self.vision_feature_select_strategy;
        if strategy != "default" {
            return Err(format!("vision_feature_select_strategy is `{strategy}`, expected `default`"));
        }
        Ok(())
    }
}

/// Patches along a side of what becomes one token.
///
/// # Errors
/// A message for a ratio that is not one of 1, 1/2, 1/4 and 1/8.
fn merge(ratio: f64) -> Result<usize, String> {
    let found = [1, 2, 4, 8].into_iter().find(|merge| ratio * f64::from(*merge) == 1.0);
    found
        .map(|merge| merge as usize)
        .ok_or_else(|| format!("downsample_ratio is {ratio}, expected 1, 0.5, 0.25 or 0.125"))
}

impl InternVlVisionConfig {
    /// Side of a patch, pixels.
    pub(super) fn patch(&self) -> usize {
        self.patch_size.square().unwrap_or(1)
    }

    /// Patches along a side of the tiles that have positions of their own.
    pub(super) fn side(&self) -> usize {
        self.image_size.square().unwrap_or(0) / self.patch().max(1)
    }

    /// What is wrong with these sizes, if anything.
    fn check(&self) -> Result<(), String> {
        let square = |name: &str, sides: Sides| {
            let found = sides.square();
            found.ok_or_else(|| format!("vision_config.{name} is {sides:?}, expected a square"))
        };
        let (image, patch) = (square("image_size", self.image_size)?, square("patch_size", self.patch_size)?);
        let sizes = [
            ("hidden_size", self.hidden_size, limits::WIDTH),
            ("intermediate_size", self.intermediate_size, limits::WIDTH),
            ("num_hidden_layers", self.num_hidden_layers, limits::COUNT),
            ("num_attention_heads", self.num_attention_heads, limits::COUNT),
            ("image_size", image, limits::SIDE),
            ("patch_size", patch, limits::SIDE),
        ];
        limits::check("vision_config", &sizes)?;
        limits::positive("vision_config", "layer_norm_eps", self.layer_norm_eps)?;
        if self.num_channels != 3 {
            return Err(format!("vision_config.num_channels is {}, expected 3 colours", self.num_channels));
        }
        let (width, heads) = (self.hidden_size, self.num_attention_heads);
        if !width.is_multiple_of(heads) {
            let what = "vision_config: hidden_size / num_attention_heads";
            return Err(format!("{what} is {width} / {heads}, expected a whole number"));
        }
        if patch > image {
            return Err(format!("vision_config.patch_size {patch} exceeds image_size"));
        }
        if !["layer_norm", "rms_norm"].contains(&self.norm_type.as_str()) {
            let found = &self.norm_type;
            return Err(format!("vision_config.norm_type is `{found}`, expected `layer_norm` or `rms_norm`"));
        }
        Ok(())
    }

    /// Sizes for estimates.
    pub(super) fn sizes(&self) -> LayerSizes {
        LayerSizes {
            layers: self.num_hidden_layers,
            width: self.hidden_size,
            inner: self.intermediate_size,
            heads: self.num_attention_heads,
            kv_heads: self.num_attention_heads,
            gated: false,
            head_width: self.hidden_size / self.num_attention_heads,
            head_norms: self.use_qk_norm,
        }
    }
}
