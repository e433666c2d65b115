//! The language model's part of `config.json`: Llama, Qwen2 and Qwen3 differ in biases, norms and defaults only; what
//! Gemma 3 has beside them is in `gemma.rs`.

use super::activation::Activation;
use super::config_file::{ConfigFile, limits};
use super::gemma::GemmaText;
use super::line_rope::LineRope;
use super::rope_parameters::{PLAIN, RopeParameters, Scaling, agreed};
use super::sizes::LayerSizes;
use crate::Error;
use serde::Deserialize;
use serde_json::{Value, json};

/// Sizes of the decoder.
///
/// Fields that `config.json` lacks have the defaults of the family. Accepted: widths 1 to 2^20, numbers of blocks
/// and heads 1 to 2^14, up to 2^24 tokens, an even width of a head, query heads a multiple of key heads; plain,
/// linear, Llama 3's or three-axis rotary positions, dynamic ones up to `max_position_embeddings`, and full attention only, but
/// for Gemma and for the window of Mistral.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct TextConfig {
    /// Width.
    pub hidden_size: usize,
    /// Width of the feed-forward layers.
    pub intermediate_size: usize,
    /// Number of blocks.
    pub num_hidden_layers: usize,
    /// Number of query heads.
    pub num_attention_heads: usize,
    /// Number of key and value heads; null for as many as query heads.
    pub num_key_value_heads: Option<usize>,
    /// Width of a head; default `hidden_size / num_attention_heads`.
    pub head_dim: Option<usize>,
    /// Number of tokens.
    pub vocab_size: usize,
    /// Added to mean squares.
    /// Default 1e-6.
    pub rms_norm_eps: f64,
    /// Longest sequence.
    /// In tokens; longer samples are refused by the processor.
    pub max_position_embeddings: usize,
    /// Activation of the gate; `silu`.
    pub hidden_act: String,
    /// Biases of queries, keys and values; Qwen2 has them always.
    #[serde(default)]
    pub qkv_bias: bool,
    /// Biases in attention, of Llama.
    #[serde(default)]
    pub attention_bias: bool,
    /// Biases in the feed-forward layers, of Llama.
    #[serde(default)]
    pub mlp_bias: bool,
    /// Whether the output layer is the embedding table.
    /// `None`: the family decides.
    pub tie_word_embeddings: Option<bool>,
    /// Norms of queries and keys, of Qwen3; the family decides.
    #[serde(skip)]
    pub head_norms: bool,
    /// Last positions that each sees, itself included, in tokens; `None` for all. The family decides.
    #[serde(skip)]
    pub window: Option<usize>,
    /// Whether the axes of positions take turns among the frequencies; the family decides.
    #[serde(skip)]
    pub interleaved: bool,
    /// What Gemma does otherwise; the family decides.
    #[serde(skip)]
    pub gemma: Option<GemmaText>,
    rope_theta: Option<f64>,
    rope_parameters: Option<RopeParameters>,
    rope_scaling: Option<RopeParameters>,
    use_sliding_window: Option<bool>,
    max_window_layers: Option<usize>,
    layer_types: Option<Vec<String>>,
}

/// Defaults of `LlamaConfig` (transformers 4.57).
pub(crate) fn llama() -> Value {
    json!({
        "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32,
        "vocab_size": 32000, "rms_norm_eps": 1e-6, "max_position_embeddings": 2048, "hidden_act": "silu",
        "rope_theta": 10000.0,
    })
}

/// Defaults of `MistralConfig` (transformers 4.57), but for its window.
pub(crate) fn mistral() -> Value {
    json!({
        "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 8, "vocab_size": 32000, "rms_norm_eps": 1e-6, "max_position_embeddings": 131_072,
        "hidden_act": "silu", "rope_theta": 10000.0,
    })
}

/// Defaults of `Qwen2Config` (transformers 4.57).
pub(crate) fn qwen2() -> Value {
    json!({
        "hidden_size": 4096, "intermediate_size": 22016, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 32, "vocab_size": 151936, "rms_norm_eps": 1e-6, "max_position_embeddings": 32768,
        "hidden_act": "silu", "rope_theta": 10000.0, "qkv_bias": true, "max_window_layers": 28,
    })
}

/// Defaults of `Qwen3Config` (transformers 4.57).
pub(crate) fn qwen3() -> Value {
    json!({
        "hidden_size": 4096, "intermediate_size": 22016, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 32, "head_dim": 128, "vocab_size": 151936, "rms_norm_eps": 1e-6,
        "max_position_embeddings": 32768, "hidden_act": "silu", "rope_theta": 10000.0, "max_window_layers": 28,
    })
}

/// Defaults of `Qwen3VLTextConfig` (transformers 4.57).
pub(crate) fn qwen3_vl() -> Value {
    json!({
        "hidden_size": 4096, "intermediate_size": 22016, "num_hidden_layers": 32, "num_attention_heads": 32,
        "num_key_value_heads": 32, "head_dim": 128, "vocab_size": 151936, "rms_norm_eps": 1e-6,
        "max_position_embeddings": 128_000, "hidden_act": "silu", "rope_theta": 5e6,
    })
}

/// Defaults of `Gemma3TextConfig` (transformers 4.57).
pub(crate) fn gemma3() -> Value {
    json!({
        "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26, "num_attention_heads": 8,
        "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 262_208, "rms_norm_eps": 1e-6,
        "max_position_embeddings": 131_072, "hidden_act": "gelu_pytorch_tanh",
    })
}

impl TextConfig {
    /// Reads the object under `section`, or the whole file, over `defaults`.
    ///
    /// # Errors
    /// Those of [`ConfigFile::section`].
    pub(crate) fn read(file: &ConfigFile, section: Option<&str>, defaults: Value) -> Result<Self, Error> {
        let config: Self = file.section(section, defaults)?;
        // Null says as many as query heads, whatever an absent key says.
        match file.is_null(section, "num_key_value_heads") {
            true => Ok(Self { num_key_value_heads: None, ..config }),
            false => Ok(config),
        }
    }

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
        newer.or(self.rope_theta).unwrap_or(10_000.0)
    }

    /// Rotary positions along a line.
    ///
    /// # Errors
    /// A message for a kind that is not known, or lacks a setting.
    pub fn line_rope(&self) -> Result<LineRope, String> {
        let (stretch, bands) = self.scaling()?;
        Ok(LineRope { base: self.rope_base(), stretch, bands })
    }

    /// How positions are stretched.
    fn scaling(&self) -> Result<Scaling, String> {
        let all = [&self.rope_parameters, &self.rope_scaling].into_iter().flatten();
        let found = all.filter_map(|rope| rope.scaling().transpose()).collect::<Result<Vec<_>, _>>()?;
        Ok(agreed(&found)?.unwrap_or(PLAIN))
    }

    /// Frequencies that follow time, row and column, where positions have three axes.
    pub fn sections(&self) -> Option<[usize; 3]> {
        let mut all = [&self.rope_parameters, &self.rope_scaling].into_iter().flatten();
        all.find_map(|rope| rope.mrope_section)
    }

    /// Whether queries, keys and values have biases, and whether the output has one.
    pub(crate) fn attention_biases(&self) -> (bool, bool) {
        (self.qkv_bias || self.attention_bias, self.attention_bias)
    }

    /// Sizes for estimates.
    pub(crate) fn sizes(&self) -> LayerSizes {
        LayerSizes {
            layers: self.num_hidden_layers,
            width: self.hidden_size,
            inner: self.intermediate_size,
            heads: self.num_attention_heads,
            kv_heads: self.kv_heads(),
            gated: true,
            head_width: self.head_width(),
            head_norms: self.head_norms,
        }
    }

    /// What is wrong with these settings, if anything.
    ///
    /// # Errors
    /// A message with the field, its value and what was expected.
    pub(crate) fn check(&self) -> Result<(), String> {
        let sizes = [
            ("hidden_size", self.hidden_size, limits::WIDTH),
            ("intermediate_size", self.intermediate_size, limits::WIDTH),
            ("num_hidden_layers", self.num_hidden_layers, limits::COUNT),
            ("num_attention_heads", self.num_attention_heads, limits::COUNT),
            ("num_key_value_heads", self.kv_heads(), limits::COUNT),
            ("head_dim", self.head_width(), limits::WIDTH),
            ("vocab_size", self.vocab_size, limits::VOCABULARY),
            ("max_position_embeddings", self.max_position_embeddings, 1 << 30),
        ];
        limits::check("text_config", &sizes)?;
        limits::positive("text_config", "rms_norm_eps", self.rms_norm_eps)?;
        limits::positive("text_config", "rope_theta", self.rope_base())?;
        let (heads, kv) = (self.num_attention_heads, self.kv_heads());
        if heads % kv != 0 {
            let what = "text_config: num_attention_heads / num_key_value_heads";
            return Err(format!("{what} is {heads} / {kv}, expected a whole number"));
        }
        if !self.head_width().is_multiple_of(2) {
            return Err(format!("text_config.head_dim is {}, expected an even number", self.head_width()));
        }
        if let Some(sections) = self.sections()
            && sections.iter().try_fold(0, |sum: usize, n| sum.checked_add(*n)) != Some(self.head_width() / 2)
        {
            let half = self.head_width() / 2;
            return Err(format!("text_config: mrope_section is {sections:?}, expected a sum of {half}"));
        }
        // Gemma has settings of its own.
        if self.gemma.is_none() {
            self.check_positions()?;
        }
        // Kinds that are written layer by layer count before the number of layers.
        let slides = self.use_sliding_window == Some(true)
            && match &self.layer_types {
                Some(kinds) => kinds.iter().any(|kind| kind != "full_attention"),
                None => self.max_window_layers.is_none_or(|layers| layers < self.num_hidden_layers),
            };
        if slides {
            return Err("text_config asks for sliding-window attention, expected full attention".to_string());
        }
        Activation::named(&self.hidden_act).map_err(|why| format!("text_config.hidden_act {why}"))?;
        Ok(())
    }

    fn check_positions(&self) -> Result<(), String> {
        let mut all = [&self.rope_parameters, &self.rope_scaling].into_iter().flatten();
        if self.interleaved && all.any(|rope| rope.mrope_interleaved == Some(false)) {
            return Err("text_config: mrope_interleaved is false, expected true".to_string());
        }
        if self.scaling()? != PLAIN && self.sections().is_some() {
            let what = "text_config asks for stretched rotary positions, expected plain ones";
            return Err(format!("{what} where mrope_section gives them three axes"));
        }
        Ok(())
    }
}
