//! `config.json` of Qwen2-VL and Qwen2.5-VL checkpoints, with the language model's part beside the others (older
//! files) or under `text_config`.
//!
//! Defaults are those of `Qwen2VLConfig` and `Qwen2_5_VLConfig` (transformers 4.57).

use crate::Error;
use crate::model::core::activation::Activation;
use crate::model::core::config_file::ConfigFile;
use crate::model::core::config_file::limits;
use crate::model::core::sizes::LayerSizes;
use crate::model::core::text_config::TextConfig;
use crate::processor::qwen2_vl::ENCODER;
use serde::Deserialize;
use serde_json::json;
use std::path::Path;

/// The vision encoder, with one form for both families.
#[derive(Clone, Debug, PartialEq)]
pub struct Qwen2VlVisionConfig {
    /// Number of blocks.
    pub depth: usize,
    /// Width.
    pub width: usize,
    /// Width of the feed-forward layers.
    pub inner: usize,
    /// Number of attention heads.
    pub heads: usize,
    /// Colour channels.
    pub channels: usize,
    /// Side of a patch, pixels.
    pub patch: usize,
    /// Frames of a patch.
    pub frames: usize,
    /// Patches along a side of what becomes one token.
    pub merge: usize,
    /// Activation of the feed-forward layers.
    pub activation: Activation,
    /// Attention within windows: of Qwen2.5-VL only.
    pub windows: Option<Windows>,
}

/// Attention within windows; such encoders have gated feed-forward layers and root-mean-square norms.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    /// Tokens along a side of a window.
    pub side: usize,
    /// Blocks that attend to the whole image.
    pub full: Vec<usize>,
}

/// The whole model.
#[derive(Clone, Debug, PartialEq)]
pub struct Qwen2VlConfig {
    /// Vision encoder.
    pub vision: Qwen2VlVisionConfig,
    /// Language model.
    pub text_config: TextConfig,
    /// Whether the output layer is the embedding table.
    pub tie_word_embeddings: bool,
}

#[derive(Deserialize)]
struct Whole {
    tie_word_embeddings: bool,
}

/// Both forms; the family decides which fields apply.
#[derive(Deserialize)]
struct Vision {
    depth: usize,
    hidden_size: usize,
    embed_dim: Option<usize>,
    intermediate_size: Option<usize>,
    mlp_ratio: Option<f64>,
    num_heads: usize,
    in_channels: usize,
    patch_size: usize,
    temporal_patch_size: usize,
    spatial_merge_size: usize,
    hidden_act: String,
    window_size: Option<usize>,
    fullatt_block_indexes: Option<Vec<usize>>,
    out_hidden_size: Option<usize>,
}

impl Qwen2VlConfig {
    /// Reads and checks `config.json` in `dir`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`], and [`Error::Config`] for a model that is not of these families
    /// or whose sizes contradict each other.
    pub fn from_dir(dir: &Path) -> Result<Self, Error> {
        let file = ConfigFile::read(dir)?;
        let newer = match file.model_type() {
            "qwen2_vl" => false,
            "qwen2_5_vl" => true,
            other => {
                let what = format!("model_type is `{other}`, expected `qwen2_vl` or `qwen2_5_vl`");
                return Err(Error::config(&file.path, what, crate::processor::supported()));
            }
        };
        let whole: Whole = file.section(None, json!({"tie_word_embeddings": false}))?;
        let vision = json!({
            "depth": 32, "hidden_size": 3584, "embed_dim": 1280, "mlp_ratio": 4, "num_heads": 16, "in_channels": 3,
            "patch_size": ENCODER.patch, "temporal_patch_size": ENCODER.frames,
            "spatial_merge_size": ENCODER.merge, "intermediate_size": 3420,
            "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31], "out_hidden_size": 3584,
            "hidden_act": if newer { "silu" } else { "quick_gelu" },
        });
        let vision: Vision = file.section(Some("vision_config"), vision)?;
        let text = json!({
            "hidden_size": 8192, "intermediate_size": 29568, "num_hidden_layers": 80, "num_attention_heads": 64,
            "num_key_value_heads": 8, "vocab_size": 152_064, "rms_norm_eps": 1e-5, "hidden_act": "silu",
            "max_position_embeddings": 32768, "rope_theta": 1e6, "qkv_bias": true, "max_window_layers": 80,
        });
        let part = file.has("text_config").then_some("text_config");
        let text_config = TextConfig::read(&file, part, text)?;
        file.require(check(&vision, newer, &text_config))?;
        Ok(Self {
            vision: vision
                .resolve(newer)
                .map_err(|what| Error::config(&file.path, what, crate::processor::supported()))?,
            tie_word_embeddings: text_config.tie_word_embeddings.unwrap_or(whole.tie_word_embeddings),
            text_config,
        })
    }
}

impl Vision {
    /// Width of the encoder, which the two families keep under different keys.
    fn width(&self, newer: bool) -> usize {
        if newer { self.hidden_size } else { self.embed_dim.unwrap_or(1280) }
    }

    /// The form of both families, with the defaults of either.
    fn resolve(self, newer: bool) -> Result<Qwen2VlVisionConfig, String> {
        let width = self.width(newer);
        let windows = Windows {
            side: self.window_size.unwrap_or(112) / self.spatial_merge_size / self.patch_size,
            full: self.fullatt_block_indexes.unwrap_or_default(),
        };
        Ok(Qwen2VlVisionConfig {
            depth: self.depth,
            width,
            inner: match newer {
                true => self.intermediate_size.unwrap_or(3420),
                false => (width as f64 * self.mlp_ratio.unwrap_or(4.0)) as usize,
            },
            heads: self.num_heads,
            channels: self.in_channels,
            patch: self.patch_size,
            frames: self.temporal_patch_size,
            merge: self.spatial_merge_size,
            activation: Activation::named(&self.hidden_act)
                .map_err(|why| format!("vision_config.hidden_act {why}"))?,
            windows: newer.then_some(windows),
        })
    }
}

impl Qwen2VlVisionConfig {
    /// Width of a head.
    pub fn head_width(&self) -> usize {
        self.width / self.heads
    }

    /// Sizes for estimates.
    pub(crate) fn sizes(&self) -> LayerSizes {
        LayerSizes {
            layers: self.depth,
            width: self.width,
            inner: self.inner,
            heads: self.heads,
            kv_heads: self.heads,
            gated: self.windows.is_some(),
            head_width: self.head_width(),
            head_norms: false,
        }
    }
}

/// What is wrong with these sizes, if anything.
fn check(vision: &Vision, newer: bool, text: &TextConfig) -> Result<(), String> {
    text.check()?;
    let (width, heads) = (vision.width(newer), vision.num_heads);
    let sizes = [
        ("depth", vision.depth, limits::COUNT),
        (if newer { "hidden_size" } else { "embed_dim" }, width, limits::WIDTH),
        ("num_heads", heads, limits::COUNT),
        ("patch_size", vision.patch_size, limits::SIDE),
        ("temporal_patch_size", vision.temporal_patch_size, limits::FEW),
        ("spatial_merge_size", vision.spatial_merge_size, limits::FEW),
    ];
    limits::check("vision_config", &sizes)?;
    if newer {
        let sizes = [
            ("intermediate_size", vision.intermediate_size.unwrap_or(1), limits::WIDTH),
            ("window_size", vision.window_size.unwrap_or(1), limits::SIDE),
        ];
        limits::check("vision_config", &sizes)?;
    } else {
        let ratio = vision.mlp_ratio.unwrap_or(1.0);
        limits::positive("vision_config", "mlp_ratio", ratio)?;
        limits::check(
            "vision_config",
            &[("embed_dim * mlp_ratio", (width as f64 * ratio) as usize, limits::WIDTH)],
        )?;
    }
    if vision.in_channels != 3 {
        return Err(format!("vision_config.in_channels is {}, expected 3 colours", vision.in_channels));
    }
    if width % heads != 0 || width / heads % 4 != 0 {
        return Err(format!(
            "vision_config: {width} / {heads} heads, expected a multiple of 4 for each head"
        ));
    }
    let (name, out) = if newer {
        ("out_hidden_size", vision.out_hidden_size.unwrap_or(3584))
    } else {
        ("hidden_size", vision.hidden_size)
    };
    if out != text.hidden_size {
        let width = text.hidden_size;
        return Err(format!("vision_config.{name} is {out}, expected the language model's width {width}"));
    }
    let unit = vision.spatial_merge_size * vision.patch_size;
    if newer && vision.window_size.unwrap_or(112) < unit {
        return Err(format!(
            "vision_config.window_size is {:?}, expected at least {unit}",
            vision.window_size
        ));
    }
    if text.sections().is_none() {
        return Err("text_config has no mrope_section, expected three numbers".to_string());
    }
    Ok(())
}
