//! `config.json` of Qwen3-VL checkpoints with dense decoders.
//!
//! Defaults are those of `Qwen3VLConfig` (transformers 4.57).

use crate::Error;
use crate::model::core::activation::Activation;
use crate::model::core::config_file::{ConfigFile, limits};
use crate::model::core::sizes::LayerSizes;
use crate::model::core::text_config::{self, TextConfig};
use crate::processor::qwen3_vl::ENCODER;
use serde::Deserialize;
use serde_json::json;
use std::path::Path;

/// Most rows of the table of positions.
const POSITIONS: usize = 1 << 24;

/// The vision encoder.
///
/// Accepted: depth and heads 1 to 2^14, widths 1 to 2^20, a width of a head that is a multiple of 4, patches up to 2^14
/// pixels a side, up to 2^6 frames and patches along a side of a token, up to 2^24 positions.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Qwen3VlVisionConfig {
    /// Number of blocks.
    pub depth: usize,
    /// Width.
    pub hidden_size: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Number of attention heads.
    pub num_heads: usize,
    /// Colour channels; 3.
    pub in_channels: usize,
    /// Side of a patch, pixels.
    pub patch_size: usize,
    /// Frames of a patch.
    pub temporal_patch_size: usize,
    /// Patches along a side of what becomes one token.
    pub spatial_merge_size: usize,
    /// Width of the features: that of the language model.
    pub out_hidden_size: usize,
    /// Rows of the table of positions; the largest square of them is interpolated.
    pub num_position_embeddings: usize,
    /// Blocks whose results become features of their own, one merger for each, in its order.
    /// Distinct, below `depth`; not more than the decoder has blocks.
    pub deepstack_visual_indexes: Vec<usize>,
    /// Activation of the feed-forward layers.
    pub hidden_act: String,
}

/// The whole model.
#[derive(Clone, Debug, PartialEq)]
pub struct Qwen3VlConfig {
    /// Vision encoder.
    pub vision_config: Qwen3VlVisionConfig,
    /// Activation of its feed-forward layers.
    pub(super) activation: Activation,
    /// Language model.
    pub text_config: TextConfig,
    /// Whether the output layer is the embedding table.
    pub tie_word_embeddings: bool,
}

#[derive(Deserialize)]
struct Whole {
    tie_word_embeddings: bool,
}

impl Qwen3VlConfig {
    /// Reads and checks `config.json` in `dir`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`], and [`Error::Config`] for a model that is not of this family
    /// or whose sizes contradict each other.
    pub fn from_dir(dir: &Path) -> Result<Self, Error> {
        let file = ConfigFile::read(dir)?;
        if file.model_type() != "qwen3_vl" {
            let what = format!("model_type is `{}`, expected `qwen3_vl`", file.model_type());
            return Err(Error::config(&file.path, what, crate::processor::supported()));
        }
        let whole: Whole = file.section(None, json!({"tie_word_embeddings": false}))?;
        let vision = json!({
            "depth": 27, "hidden_size": 1152, "intermediate_size": 4304, "num_heads": 16, "in_channels": 3,
            "patch_size": ENCODER.patch, "temporal_patch_size": ENCODER.frames,
            "spatial_merge_size": ENCODER.merge, "out_hidden_size": 3584,
            "num_position_embeddings": 2304, "deepstack_visual_indexes": [8, 16, 24],
            "hidden_act": "gelu_pytorch_tanh",
        });
        let vision_config: Qwen3VlVisionConfig = file.section(Some("vision_config"), vision)?;
        let mut text_config = TextConfig::read(&file, Some("text_config"), text_config::qwen3_vl())?;
        (text_config.head_norms, text_config.interleaved) = (true, true);
        file.require(check(&vision_config, &text_config))?;
        let activation = Activation::named(&vision_config.hidden_act);
        let activation = activation.map_err(|why| format!("vision_config.hidden_act {why}"));
        file.require(activation.as_ref().map(|_| ()).map_err(String::clone))?;
        Ok(Self {
            activation: activation.unwrap_or(Activation::TanhGelu),
            vision_config,
            tie_word_embeddings: text_config.tie_word_embeddings.unwrap_or(whole.tie_word_embeddings),
            text_config,
        })
    }
}

impl Qwen3VlVisionConfig {
    /// Width of a head.
    pub fn head_width(&self) -> usize {
        self.hidden_size / self.num_heads
    }

    /// Positions along a side of the table.
    pub(super) fn side(&self) -> usize {
        self.num_position_embeddings.isqrt()
    }

    /// Blocks whose results become features of their own, ascending as they are added to the decoder, each with the
    /// number of its merger.
    pub(super) fn deepstack(&self) -> Vec<(usize, usize)> {
        let with = self.deepstack_visual_indexes.iter().enumerate();
        let mut blocks: Vec<(usize, usize)> = with.map(|(merger, block)| (*block, merger)).collect();
        blocks.sort_unstable();
        blocks
    }

    /// Sizes for estimates.
    pub(super) fn sizes(&self) -> LayerSizes {
        LayerSizes {
            layers: self.depth,
            width: self.hidden_size,
            inner: self.intermediate_size,
            heads: self.num_heads,
            kv_heads: self.num_heads,
            gated: false,
            head_width: self.head_width(),
            head_norms: false,
        }
    }
}

/// What is wrong with these sizes, if anything.
fn check(v: &Qwen3VlVisionConfig, text: &TextConfig) -> Result<(), String> {
    text.check()?;
    let sizes = [
        ("depth", v.depth, limits::COUNT),
        ("hidden_size", v.hidden_size, limits::WIDTH),
        ("intermediate_size", v.intermediate_size, limits::WIDTH),
        ("num_heads", v.num_heads, limits::COUNT),
        ("patch_size", v.patch_size, limits::SIDE),
        ("temporal_patch_size", v.temporal_patch_size, limits::FEW),
        ("spatial_merge_size", v.spatial_merge_size, limits::FEW),
        ("num_position_embeddings", v.num_position_embeddings, POSITIONS),
    ];
    limits::check("vision_config", &sizes)?;
    if v.in_channels != 3 {
        return Err(format!("vision_config.in_channels is {}, expected 3 colours", v.in_channels));
    }
    let (width, heads) = (v.hidden_size, v.num_heads);
    if !width.is_multiple_of(heads) || !(width / heads).is_multiple_of(4) {
        return Err(format!(
            "vision_config: {width} / {heads} heads, expected a multiple of 4 for each head"
        ));
    }
    if v.out_hidden_size != text.hidden_size {
        let (out, width) = (v.out_hidden_size, text.hidden_size);
        return Err(format!(
            "vision_config.out_hidden_size is {out}, expected the language model's width {width}"
        ));
    }
    let indexes = &v.deepstack_visual_indexes;
    if let Some(index) = indexes.iter().find(|index| **index >= v.depth) {
        let what = "vision_config.deepstack_visual_indexes names block";
        return Err(format!("{what} {index}, expected 0 to {}", v.depth - 1));
    }
    let again = |(n, index): &(usize, &usize)| indexes[..*n].contains(index);
    if let Some((_, index)) = indexes.iter().enumerate().find(again) {
        return Err(format!("vision_config.deepstack_visual_indexes names block {index} twice"));
    }
    if indexes.len() > text.num_hidden_layers {
        let (count, layers) = (indexes.len(), text.num_hidden_layers);
        let what = "vision_config.deepstack_visual_indexes names";
        return Err(format!("{what} {count} blocks, expected at most the {layers} of the decoder"));
    }
    if text.sections().is_none() {
        return Err("text_config has no mrope_section, expected three numbers".to_string());
    }
    Ok(())
}
