//! `adapter_config.json`: the fields of PEFT's `LoraConfig` that decide what an adapter computes.

use super::targets::OneOrMore;
use super::{CONFIG_FILE, Patterns, TargetModules};
use crate::Error;
use crate::stored::{io, regular};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
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
    #[serde(default)]
    fan_in_fan_out: bool,
    #[serde(default)]
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
    /// Whether the adapter has magnitudes (DoRA).
    #[serde(default)]
    pub use_dora: bool,
    /// Scale alpha / sqrt(r) instead of alpha / r.
    #[serde(default)]
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

/// Fields that change what is computed in ways that this crate does not know, unless null, false or empty.
const FOREIGN: [&str; 14] = [
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "layer_replication",
    "lora_bias",
    "megatron_config",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_qalora",
    "velora_config",
    "loftq_config",
    "corda_config",
];

/// No layer has as many inputs and outputs.
const LARGEST_RANK: usize = 1 << 24;

/// Initialisations that leave the base weights as they are.
const HARMLESS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

fn none_text() -> String {
    "none".to_string()
}

fn yes() -> Value {
    true.into()
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
            lora_dropout: parts.dropout,
            modules_to_save: None,
            peft_type: "LORA".to_string(),
            r: parts.r,
            rank_pattern: parts.rank_pattern,
            revision: None,
            target_modules: parts.target_modules,
            task_type: Some("CAUSAL_LM".to_string()),
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
        let bytes = regular::read(&path, regular::LONGEST_CONFIG).map_err(io(&path))?;
        let bad = |why: String| Error::BadFile { path: path.clone(), why };
        let config: Value = serde_json::from_slice(&bytes)
            .map_err(|e| bad(format!("not JSON: {e}; copy the adapter again")))?;
        match config.get("peft_type") {
            Some(Value::String(kind)) if kind.as_str() == "LORA" => (),
            Some(other) => return Err(bad(format!("peft_type is {other}, expected \"LORA\""))),
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
        if self.bias != "none" {
            let bias = &self.bias;
            return Err(format!(
                "bias is \"{bias}\": the adapter trained biases of the base, which is not read"
            ));
        }
        if let Some(saved) = self.modules_to_save.as_ref().filter(|saved| !saved.is_empty()) {
            return Err(format!(
                "modules_to_save holds whole modules, which are not read: {}",
                saved.join(", ")
            ));
        }
        let init = &self.init_lora_weights;
        if !init.is_boolean() && !init.as_str().is_some_and(|name| HARMLESS.contains(&name)) {
            return Err(format!(
                "init_lora_weights is {init}: the adapter belongs to a changed base; save it again with PEFT's \
                 `path_initial_model_for_weight_conversion`, which makes it a plain LoRA"
            ));
        }
        let is_set = |value: &Value| match value {
            Value::Null | Value::Bool(false) => false,
            Value::Array(all) => !all.is_empty(),
            Value::Object(all) => !all.is_empty(),
            _ => true,
        };
        let foreign: Vec<_> =
            FOREIGN.into_iter().filter(|field| self.other.get(*field).is_some_and(is_set)).collect();
        if !foreign.is_empty() {
            return Err(format!(
                "these fields change the adapter in ways not known here: {}",
                foreign.join(", ")
            ));
        }
        Ok(())
    }
}
