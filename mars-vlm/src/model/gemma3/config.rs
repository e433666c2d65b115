//! `config.json` of Gemma 3 checkpoints with a vision encoder.
//!
//! Defaults are those of `Gemma3Config`, `SiglipVisionConfig` and `Gemma3TextConfig` (transformers 4.57).

use crate::Error;
use crate::model::core::activation::Activation;
use crate::model::core::config_file::{ConfigFile, limits};
use crate::model::core::gemma::GemmaText;
use crate::model::core::line_rope::LineRope;
use crate::model::core::siglip::SiglipConfig;
use crate::model::core::text_config::{self, TextConfig};
use crate::processor::gemma3::{IMAGE_SIZE, TOKENS};
use serde::Deserialize;
use serde_json::json;
use std::path::Path;

/// The whole model.
///
/// The settings `attn_logit_softcapping` and `final_logit_softcapping` have no effect, as in `transformers` 4.57 and 5, whose
/// model with a vision encoder applies neither; published files have null.
#[derive(Clone, Debug, PartialEq)]
pub struct Gemma3Config {
    /// Vision encoder.
    pub vision_config: SiglipConfig,
    /// Language model.
    pub text_config: TextConfig,
    /// Tokens along a side of a picture, the root of `mm_tokens_per_image`; it divides the patches along a side.
    pub tokens_per_side: usize,
    /// Whether the output layer is the embedding table.
    pub tie_word_embeddings: bool,
}

#[derive(Deserialize)]
struct Whole {
    mm_tokens_per_image: usize,
    tie_word_embeddings: Option<bool>,
}

/// What `text_config` has beside [`TextConfig`].
#[derive(Deserialize)]
struct Decoder {
    model_type: String,
    hidden_activation: String,
    query_pre_attn_scalar: f64,
    sliding_window: usize,
    sliding_window_pattern: usize,
    layer_types: Option<Vec<String>>,
    rope_theta: f64,
    rope_local_base_freq: f64,
    rope_scaling: Option<Rope>,
    rope_parameters: Option<RopeOfLayers>,
    use_bidirectional_attention: Option<bool>,
}

/// Rotary settings of transformers 5, by the kind of a layer.
#[derive(Deserialize)]
struct RopeOfLayers {
    full_attention: Option<Rope>,
    sliding_attention: Option<Rope>,
}

#[derive(Clone, Deserialize)]
struct Rope {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
    r#type: Option<String>,
    factor: Option<f64>,
}

impl Gemma3Config {
    /// Reads and checks `config.json` in `dir`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`], and [`Error::Config`] for a model that is not of this family
    /// or whose sizes contradict each other.
    pub fn from_dir(dir: &Path) -> Result<Self, Error> {
        let file = ConfigFile::read(dir)?;
        if file.model_type() != "gemma3" {
            let what = format!("model_type is `{}`, expected `gemma3`", file.model_type());
            return Err(Error::config(&file.path, what, crate::processor::supported()));
        }
        let whole: Whole = file.section(None, json!({"mm_tokens_per_image": TOKENS}))?;
        let vision = json!({
            "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
            "num_channels": 3, "image_size": IMAGE_SIZE, "patch_size": 16, "hidden_act": "gelu_pytorch_tanh",
            "layer_norm_eps": 1e-6,
        });
        let vision_config: SiglipConfig = file.section(Some("vision_config"), vision)?;
        let decoder = json!({
            "model_type": "gemma3_text", "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 256,
            "sliding_window": 4096, "sliding_window_pattern": 6, "rope_theta": 1e6, "rope_local_base_freq": 1e4,
        });
        let decoder: Decoder = file.section(Some("text_config"), decoder)?;
        let mut text: TextConfig = file.section(Some("text_config"), text_config::gemma3())?;
        let tied = text.tie_word_embeddings.or(whole.tie_word_embeddings).unwrap_or(true);
        text.tie_word_embeddings = Some(tied);
        text.head_norms = true;
        text.hidden_act.clone_from(&decoder.hidden_activation);
        // The number of layers is sound before there is an entry for each.
        file.require(limits::check(
            "text_config",
            &[("num_hidden_layers", text.num_hidden_layers, limits::COUNT)],
        ))?;
        let gemma = decoder.settings(text.num_hidden_layers);
        file.require(gemma.as_ref().map(|_| ()).map_err(String::clone))?;
        text.gemma = gemma.ok();
        file.require(vision_config.check())?;
        file.require(text.check())?;
        let tokens = tokens_per_side(whole.mm_tokens_per_image, vision_config.side());
        file.require(tokens.as_ref().map(|_| ()).map_err(String::clone))?;
        Ok(Self {
            vision_config,
            text_config: text,
            tokens_per_side: tokens.unwrap_or(1),
            tie_word_embeddings: tied,
        })
    }
}

/// The root of `tokens`, which must divide the `side` of the picture in patches.
fn tokens_per_side(tokens: usize, side: usize) -> Result<usize, String> {
    let root = tokens.isqrt();
    if root > 0 && root * root == tokens && side.is_multiple_of(root) {
        return Ok(root);
    }
    Err(format!(
        "mm_tokens_per_image is {tokens}, expected the square of a divisor of the {side} patches along a side"
    ))
}

impl Decoder {
    /// What the decoder of `layers` blocks does, checked.
    fn settings(&self, layers: usize) -> Result<GemmaText, String> {
        if self.model_type != "gemma3_text" {
            return Err(format!("text_config.model_type is `{}`, expected `gemma3_text`", self.model_type));
        }
        if self.use_bidirectional_attention == Some(true) {
            let what = "text_config.use_bidirectional_attention is true, expected false";
            return Err(format!("{what}: with it a token sees what comes after it"));
        }
        Activation::named(&self.hidden_activation)
            .map_err(|why| format!("text_config.hidden_activation {why}"))?;
        limits::positive("text_config", "query_pre_attn_scalar", self.query_pre_attn_scalar)?;
        let sizes = [
            ("sliding_window", self.sliding_window, 1 << 30),
            ("sliding_window_pattern", self.sliding_window_pattern, 1 << 30),
        ];
        limits::check("text_config", &sizes)?;
        let local = match &self.layer_types {
            None => (1..=layers).map(|n| !n.is_multiple_of(self.sliding_window_pattern)).collect(),
            Some(types) => local(types, layers)?,
        };
        let of = |kind: fn(&RopeOfLayers) -> &Option<Rope>| {
            self.rope_parameters.as_ref().and_then(|all| kind(all).clone())
        };
        let (full, sliding) = (of(|all| &all.full_attention), of(|all| &all.sliding_attention));
        let scaling = self.rope_scaling.clone().or(full.clone());
        Ok(GemmaText {
            query_scalar: self.query_pre_attn_scalar,
            window: self.sliding_window,
            local,
            global_rope: line(full.as_ref(), self.rope_theta, scaling.as_ref())?,
            local_rope: line(sliding.as_ref(), self.rope_local_base_freq, sliding.as_ref())?,
        })
    }
}

/// Whether each of `layers` has a window.
fn local(types: &[String], layers: usize) -> Result<Vec<bool>, String> {
    if types.len() != layers {
        let found = types.len();
        return Err(format!(
            "text_config.layer_types has {found} entries, expected {layers}, one for each layer"
        ));
    }
    let local = |kind: &String| match kind.as_str() {
        "sliding_attention" => Ok(true),
        "full_attention" => Ok(false),
        other => Err(format!(
            "text_config.layer_types holds `{other}`, expected sliding_attention or full_attention"
        )),
    };
    types.iter().map(local).collect()
}

/// Rotary positions whose base is in `own` or else `base`, stretched as `scaling` says.
fn line(own: Option<&Rope>, base: f64, scaling: Option<&Rope>) -> Result<LineRope, String> {
    let base = own.and_then(|rope| rope.rope_theta).unwrap_or(base);
    limits::positive("text_config", "rope_theta", base)?;
    let kind = scaling.and_then(|rope| rope.rope_type.as_deref().or(rope.r#type.as_deref()));
    let stretch = match (kind.unwrap_or("default"), scaling.and_then(|rope| rope.factor)) {
        ("default", _) => 1.0,
        ("linear", Some(factor)) => factor,
        ("linear", None) => {
            return Err("text_config: rotary positions are `linear` without a factor".to_string());
        }
        (other, _) => {
            let what = format!("text_config asks for `{other}` rotary positions");
            return Err(format!("{what}, expected default or linear ones"));
        }
    };
    limits::positive("text_config", "factor", stretch)?;
    Ok(LineRope { stretch, ..LineRope::plain(base) })
}
