//! `config.json` of Idefics3 and SmolVLM checkpoints.
//!
//! Published files leave out fields that have `transformers`' default value, so the defaults here are those of
//! its classes `Idefics3VisionConfig`, `LlamaConfig` and `Idefics3Config` (version 4.57).

use crate::Error;
use serde::Deserialize;
use std::path::Path;

/// The vision encoder: a SigLIP-style transformer over square patches.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct VisionConfig {
    /// Width.
    pub hidden_size: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Number of attention heads.
    pub num_attention_heads: usize,
    /// Colour channels.
    pub num_channels: usize,
    /// Height and width of a full tile, pixels.
    pub image_size: usize,
    /// Height and width of a patch, pixels.
    pub patch_size: usize,
    /// Activation; `gelu_pytorch_tanh` or `gelu`.
    pub hidden_act: String,
    /// Added to variances.
    pub layer_norm_eps: f64,
}

impl Default for VisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 1152,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 16,
            num_channels: 3,
            image_size: 224,
            patch_size: 32,
            hidden_act: "gelu_pytorch_tanh".to_string(),
            layer_norm_eps: 1e-6,
        }
    }
}

/// The language model: a Llama decoder.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub struct TextConfig {
    /// Width.
    pub hidden_size: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads; default as many as query heads.
    pub num_key_value_heads: Option<usize>,
    /// Width of a head; default `hidden_size / num_attention_heads`.
    pub head_dim: Option<usize>,
    /// Number of tokens.
    pub vocab_size: usize,
    /// Added to mean squares.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    rope_theta: Option<f64>,
    rope_parameters: Option<RopeParameters>,
    rope_scaling: Option<serde_json::Value>,
    /// Longest sequence.
    pub max_position_embeddings: usize,
    /// Activation; `silu`.
    pub hidden_act: String,
    /// Biases in attention.
    pub attention_bias: bool,
    /// Biases in the feed-forward layers.
    pub mlp_bias: bool,
}

/// Where newer `transformers` keep the rotary settings.
#[derive(Clone, Debug, PartialEq, Deserialize)]
struct RopeParameters {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            hidden_size: 4096,
            intermediate_size: 11008,
            num_hidden_layers: 32,
            num_attention_heads: 32,
            num_key_value_heads: None,
            head_dim: None,
            vocab_size: 32000,
            rms_norm_eps: 1e-6,
            rope_theta: None,
            rope_parameters: None,
            rope_scaling: None,
            max_position_embeddings: 2048,
            hidden_act: "silu".to_string(),
            attention_bias: false,
            mlp_bias: false,
        }
    }
}

impl TextConfig {
    /// Number of key and value heads.
    pub fn kv_heads(&self) -> usize {
        self.num_key_value_heads.unwrap_or(self.num_attention_heads)
    }

    /// Width of a head.
    pub fn head_width(&self) -> usize {
        self.head_dim.unwrap_or(self.hidden_size / self.num_attention_heads.max(1))
    }

    /// Base of the rotary frequencies; default 10,000.
    pub fn rope_base(&self) -> f64 {
        let newer = self.rope_parameters.as_ref().and_then(|rope| rope.rope_theta);
        self.rope_theta.or(newer).unwrap_or(10_000.0)
    }
}

/// The whole model.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Idefics3Config {
    /// `idefics3` or `smolvlm`.
    pub model_type: String,
    /// Vision encoder.
    #[serde(default)]
    pub vision_config: VisionConfig,
    /// Language model.
    pub text_config: TextConfig,
    /// Token that stands for one image feature; default 128257.
    #[serde(default = "image_token")]
    pub image_token_id: u32,
    /// Patches are merged `scale_factor` by `scale_factor`; default 2.
    #[serde(default = "two")]
    pub scale_factor: usize,
    /// Whether the output layer is the embedding table.
    #[serde(default)]
    pub tie_word_embeddings: bool,
}

fn image_token() -> u32 {
    128_257
}

fn two() -> usize {
    2
}

impl Idefics3Config {
    /// Reads and checks `config.json` in `dir`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`], and [`Error::Config`] for a model that is not of this family
    /// or whose sizes contradict each other.
    pub fn from_dir(dir: &Path) -> Result<Self, Error> {
        let path = dir.join("config.json");
        let text = std::fs::read_to_string(&path).map_err(Error::io(&path))?;
        let config: Self = serde_json::from_str(&text)
            .map_err(|e| Error::malformed(&path, e, "give a directory with a SmolVLM or Idefics3 model"))?;
        config
            .check()
            .map_err(|what| Error::config(&path, what, "SmolVLM and Idefics3 models are supported"))?;
        Ok(config)
    }

    /// Image tokens that stand for one full tile.
    pub fn tokens_per_tile(&self) -> usize {
        let side = self.vision_config.image_size / self.vision_config.patch_size;
        side * side / (self.scale_factor * self.scale_factor)
    }

    fn check(&self) -> Result<(), String> {
        let (v, t) = (&self.vision_config, &self.text_config);
        if !["idefics3", "smolvlm"].contains(&self.model_type.as_str()) {
            return Err(format!("model_type is `{}`, expected `idefics3` or `smolvlm`", self.model_type));
        }
        let sizes = [
            ("vision_config.hidden_size", v.hidden_size),
            ("vision_config.num_attention_heads", v.num_attention_heads),
            ("vision_config.image_size", v.image_size),
            ("vision_config.patch_size", v.patch_size),
            ("vision_config.num_channels", v.num_channels),
            ("text_config.hidden_size", t.hidden_size),
            ("text_config.num_attention_heads", t.num_attention_heads),
            ("text_config.num_key_value_heads", t.kv_heads()),
            ("text_config.head_dim", t.head_width()),
            ("text_config.vocab_size", t.vocab_size),
            ("scale_factor", self.scale_factor),
        ];
        if let Some((name, _)) = sizes.iter().find(|(_, size)| *size == 0) {
            return Err(format!("{name} is 0, expected 1 or more"));
        }
        let ratios = [
            ("vision_config: hidden_size / num_attention_heads", v.hidden_size, v.num_attention_heads),
            ("text_config: num_attention_heads / num_key_value_heads", t.num_attention_heads, t.kv_heads()),
        ];
        if let Some((name, a, b)) = ratios.iter().find(|(_, a, b)| a % b != 0) {
            return Err(format!("{name} is {a} / {b}, expected a whole number"));
        }
        if t.head_width() % 2 != 0 {
            return Err(format!("text_config.head_dim is {}, expected an even number", t.head_width()));
        }
        let newer = t.rope_parameters.as_ref().and_then(|r| r.rope_type.clone());
        let scaled = t.rope_scaling.as_ref().is_some_and(|s| !s.is_null());
        if scaled || newer.as_deref().is_some_and(|kind| kind != "default") {
            return Err("text_config asks for scaled rotary positions, expected plain ones".to_string());
        }
        if t.hidden_act != "silu" {
            return Err(format!("text_config.hidden_act is `{}`, expected `silu`", t.hidden_act));
        }
        if !["gelu_pytorch_tanh", "gelu"].contains(&v.hidden_act.as_str()) {
            return Err(format!("vision_config.hidden_act is `{}`, expected a gelu", v.hidden_act));
        }
        Ok(())
    }
}
