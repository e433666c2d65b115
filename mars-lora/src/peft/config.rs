//! `adapter_config.json`: the fields of PEFT's `LoraConfig` that decide what an adapter computes.

use super::targets::{OneOrMore, ends_with};
use super::{CONFIG_FILE, LONGEST_CONFIG, Patterns, TargetModules, absent, foreign};
use crate::Error;
use crate::stored::{self, io, regular};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use std::io::ErrorKind;
use std::path::Path;

/// The fields that old and new versions of PEFT accept.
/// Of a module with rank r and alpha PEFT computes `W x + s B A x` with `s = alpha / r`, or `alpha / sqrt(r)`
/// with [`use_rslora`](Self::use_rslora). Absent fields have PEFT's defaults: no patterns, no exclusions, no
/// dropout, neither DoRA nor rank-stabilised scale; `target_modules`, `r`, `lora_alpha` and `peft_type` must be
/// there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeftConfig {
    /// `lora_alpha` of modules whose value differs, by expression; see [`Patterns`].
    #[serde(default)]
    pub alpha_pattern: Patterns<f64>,
    #[serde(default)]
    auto_mapping: Option<Value>,
    /// Name or path of the base model.
    #[serde(default)]
    pub base_model_name_or_path: Option<String>,
    #[serde(default = "none_text")]
    bias: String,
    /// Modules that are not adapted although `target_modules` selects them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exclude_modules: Option<TargetModules>,
    #[serde(default, deserialize_with = "truth")]
    fan_in_fan_out: bool,
    #[serde(default, deserialize_with = "truth")]
    inference_mode: bool,
    #[serde(default = "yes")]
    init_lora_weights: Value,
    #[serde(default)]
    pub(super) layers_pattern: Option<OneOrMore<String>>,
    #[serde(default)]
    pub(super) layers_to_transform: Option<OneOrMore<usize>>,
    /// Alpha of modules that no key of `alpha_pattern` matches.
    pub lora_alpha: f64,
    /// Dropout probability of the inputs of A in training, in [0, 1); no effect on a loaded adapter's function.
    #[serde(default)]
    pub lora_dropout: f64,
    #[serde(default, deserialize_with = "truth", skip_serializing_if = "is_false")]
    pub(super) lora_bias: bool,
    #[serde(default)]
    modules_to_save: Option<Vec<String>>,
    /// Always `LORA`.
    pub peft_type: String,
    /// Rank of modules that no key of `rank_pattern` matches, at least 1.
    pub r: usize,
    /// Rank of modules whose value differs, by expression; see [`Patterns`].
    #[serde(default)]
    pub rank_pattern: Patterns<usize>,
    #[serde(default)]
    revision: Option<String>,
    /// The adapted modules.
    pub target_modules: TargetModules,
    #[serde(default)]
    task_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trainable_token_indices: Option<Value>,
    /// Whether the adapter has magnitudes (DoRA).
    #[serde(default, deserialize_with = "truth")]
    pub use_dora: bool,
    /// Scale alpha / sqrt(r) instead of alpha / r.
    #[serde(default, deserialize_with = "truth")]
    pub use_rslora: bool,
    /// Fields of other versions of PEFT.
    #[serde(flatten)]
    other: Map<String, Value>,
}

/// What decides a new configuration.
pub(super) struct Parts {
    pub(super) alpha_pattern: Patterns<f64>,
    pub(super) base_model: String,
    pub(super) dropout: f64,
    pub(super) lora_alpha: f64,
    pub(super) r: usize,
    pub(super) rank_pattern: Patterns<usize>,
    pub(super) target_modules: TargetModules,
    pub(super) use_dora: bool,
    pub(super) use_rslora: bool,
}

/// No layer has as many inputs and outputs.
const LARGEST_RANK: usize = 1 << 24;

fn none_text() -> String {
    "none".to_string()
}

fn is_false(value: &bool) -> bool {
    !value
}

fn yes() -> Value {
    true.into()
}

/// To PEFT null is false; axolotl writes it for `fan_in_fan_out`.
fn truth<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

impl PeftConfig {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            alpha_pattern: parts.alpha_pattern,
            auto_mapping: None,
            base_model_name_or_path: Some(parts.base_model),
            bias: none_text(),
            exclude_modules: None,
            fan_in_fan_out: false,
            inference_mode: true,
            init_lora_weights: yes(),
            layers_pattern: None,
            layers_to_transform: None,
            lora_alpha: parts.lora_alpha,
            lora_bias: false,
            lora_dropout: parts.dropout,
            modules_to_save: None,
            peft_type: "LORA".to_string(),
            r: parts.r,
            rank_pattern: parts.rank_pattern,
            revision: None,
            target_modules: parts.target_modules,
            task_type: Some("CAUSAL_LM".to_string()),
            trainable_token_indices: None,
            use_dora: parts.use_dora,
            use_rslora: parts.use_rslora,
            other: Map::new(),
        }
    }

    /// The configuration of the adapter in `dir`.
    ///
    /// # Errors
    /// [`Error::Io`], and [`Error::BadFile`] for what is no LoRA configuration or asks for what this crate does not
    /// compute; the message names the fields.
    pub fn read(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(CONFIG_FILE);
        let bad = |why: String| Error::BadFile { path: path.clone(), why };
        if let Some(cause) = absent::cause(dir) {
            return Err(cause);
        }
        let bytes = regular::read(&path, LONGEST_CONFIG).map_err(|e| match e.kind() {
            ErrorKind::FileTooLarge => bad(format!("{e}; is it the configuration of an adapter?")),
            _ => io(&path)(e),
        })?;
        if let Some(other) = stored::foreign(&bytes) {
            return Err(bad(other.to_string()));
        }
        let config: Value = serde_json::from_slice(&bytes)
            .map_err(|e| bad(format!("not JSON: {e}; copy the adapter again")))?;
        match config.get("peft_type") {
            Some(Value::String(kind)) if kind.as_str() == "LORA" => (),
            Some(other) => return Err(bad(foreign::kind(other))),
            None => return Err(bad("peft_type is missing, expected \"LORA\"".to_string())),
        }
        if config.get("target_modules").is_none_or(Value::is_null) {
            return Err(bad("target_modules is null; set it to the names of the adapted layers".to_string()));
        }
        let config: Self = serde_path_to_error::deserialize(config).map_err(|e| bad(e.to_string()))?;
        config.check().map_err(bad)?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        let ranks = self.rank_pattern.iter().map(|(_, rank)| *rank).chain([self.r]);
        if let Some(rank) = ranks.into_iter().find(|rank| !(1..=LARGEST_RANK).contains(rank)) {
            return Err(format!("a rank is {rank}, expected 1 to {LARGEST_RANK}"));
        }
        if !(0.0..1.0).contains(&self.lora_dropout) {
            return Err(format!("lora_dropout is {}, expected a number in [0, 1)", self.lora_dropout));
        }
        let alphas = self.alpha_pattern.iter().map(|(_, alpha)| *alpha).chain([self.lora_alpha]);
        if let Some(alpha) = alphas.into_iter().find(|alpha| !(*alpha > 0.0 && alpha.is_finite())) {
            return Err(format!("an alpha is {alpha}, expected a positive number"));
        }
        if !["none", "all", "lora_only"].contains(&self.bias.as_str()) {
            return Err(format!("bias is \"{}\", expected none, all or lora_only", self.bias));
        }
        if let Some(tokens) = &self.trainable_token_indices
            && !tokens.is_null()
            && token_rows(tokens, None).is_none()
        {
            let what = "expected numbers of tokens, or such lists by the names of layers";
            return Err(format!("trainable_token_indices is {tokens}, {what}"));
        }
        foreign::check(&self.init_lora_weights, &self.other)
    }

    /// Names of modules that the file holds as a whole (`modules_to_save`).
    pub(super) fn saved(&self) -> &[String] {
        self.modules_to_save.as_deref().unwrap_or_default()
    }

    /// Whether biases of the base were trained.
    pub(super) fn trains_biases(&self) -> bool {
        self.bias != "none"
    }

    /// `bias`.
    pub(super) fn bias(&self) -> &str {
        &self.bias
    }

    /// The rows of the embeddings at `module` that were trained, if any.
    pub(super) fn token_rows(&self, module: &str) -> Option<Vec<usize>> {
        token_rows(self.trainable_token_indices.as_ref()?, Some(module))
    }

    /// Whether rows of embeddings were trained.
    pub(super) fn trains_tokens(&self) -> bool {
        self.trainable_token_indices.as_ref().is_some_and(|tokens| match tokens {
            Value::Array(all) => !all.is_empty(),
            Value::Object(all) => !all.is_empty(),
            _ => false,
        })
    }
}

/// The list that `trainable_token_indices` has for `module` (a list is for all); without a module, all of them. None if it
/// is no list of numbers, or names other modules.
fn token_rows(tokens: &Value, module: Option<&str>) -> Option<Vec<usize>> {
    let list = |value: &Value| -> Option<Vec<usize>> {
        let numbers = value.as_array()?.iter();
        numbers.map(|row| row.as_u64().and_then(|row| usize::try_from(row).ok())).collect()
    };
    match (tokens, module) {
        (Value::Object(all), Some(module)) => {
            all.iter().find(|(name, _)| ends_with(module, name)).and_then(|(_, rows)| list(rows))
        }
        (Value::Object(all), None) => {
            all.values().map(list).collect::<Option<Vec<_>>>().map(|lists| lists.concat())
        }
        (other, _) => list(other),
    }
}
