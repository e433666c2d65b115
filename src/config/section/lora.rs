//! Section `[lora]`.

use crate::{Error, config::chosen};
use documented::DocumentedFields;
use mars_lora::{Init, ScaleConvention, Targets, Variant};
use serde::{Deserialize, Serialize};

/// What an adapter is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
pub struct LoraConfig {
    /// Regular expression on the paths of linear layers. "": all linear layers of the adapted modules.
    #[serde(with = "chosen::text")]
    pub targets: Option<String>,
    /// Modules with a rank of their own.
    pub modules: Vec<String>,
    /// Probability that an input of an adapter is zeroed in training, in [0, 1).
    pub dropout: f64,
    /// DoRA (arXiv 2402.09353): a trained magnitude for each output.
    pub dora: bool,
    /// Initial values: uniform (PEFT's default), gaussian, pissa (the principal components of the frozen weights, arXiv
    /// 2404.02948), or eva (those of the layers' inputs, with ranks by layer where they explain most, arXiv 2410.07170).
    pub init: Init,
    /// Learning rate of the factors B divided by that of the factors A; LoRA+ (arXiv 2402.12354) uses about 16 with a lower
    /// learning rate.
    pub b_ratio: f64,
    /// The factor between the low-rank product and the output of the frozen layer.
    pub scale: ScaleConfig,
}

/// LoRA scale of the adapters.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
pub struct ScaleConfig {
    /// alpha_over_rank (the original LoRA), alpha_over_sqrt_rank (rsLoRA, arXiv 2312.03732) or constant. With
    /// alpha_over_rank the speed of training hardly depends on the rank.
    pub kind: ScaleKind,
    /// Numerator of alpha_over_rank and alpha_over_sqrt_rank, > 0.
    pub alpha: f64,
    /// Scale of constant, > 0; what alpha = scale * rank gives.
    pub scale: f64,
}

/// How the scale follows from the rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScaleKind {
    /// `alpha / rank`.
    AlphaOverRank,
    /// `alpha / sqrt(rank)`.
    AlphaOverSqrtRank,
    /// The same for every rank.
    #[default]
    Constant,
}

impl Default for LoraConfig {
    fn default() -> Self {
        let Variant { dropout, dora, init, b_ratio } = Variant::default();
        Self {
            targets: None,
            modules: ["ve", "llm"].map(String::from).to_vec(),
            dropout,
            dora,
            init,
            b_ratio,
            scale: ScaleConfig::default(),
        }
    }
}

impl Default for ScaleConfig {
    fn default() -> Self {
        Self { kind: ScaleKind::Constant, alpha: 16.0, scale: 2.0 }
    }
}

impl ScaleConfig {
    /// The settings that name `convention`.
    pub(crate) fn of(convention: ScaleConvention) -> Self {
        let default = Self::default();
        match convention {
            ScaleConvention::AlphaOverRank { alpha } => {
                Self { kind: ScaleKind::AlphaOverRank, alpha, ..default }
            }
            ScaleConvention::AlphaOverSqrtRank { alpha } => {
                Self { kind: ScaleKind::AlphaOverSqrtRank, alpha, ..default }
            }
            ScaleConvention::Constant { scale } => Self { kind: ScaleKind::Constant, scale, ..default },
        }
    }

    /// The convention that the settings name.
    pub fn convention(&self) -> ScaleConvention {
        let Self { kind, alpha, scale } = *self;
        match kind {
            ScaleKind::AlphaOverRank => ScaleConvention::AlphaOverRank { alpha },
            ScaleKind::AlphaOverSqrtRank => ScaleConvention::AlphaOverSqrtRank { alpha },
            ScaleKind::Constant => ScaleConvention::Constant { scale },
        }
    }
}

impl LoraConfig {
    /// What differs from plain LoRA.
    pub fn variant(&self) -> Variant {
        Variant { dropout: self.dropout, dora: self.dora, init: self.init, b_ratio: self.b_ratio }
    }

    /// The layers that are adapted.
    ///
    /// # Errors
    /// When `targets` is no regular expression.
    pub fn targets(&self) -> Result<Targets, Error> {
        Ok(match &self.targets {
            None => Targets::all_linear(),
            Some(pattern) => Targets::matching(pattern)?,
        })
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if self.modules.is_empty() {
            return Err(Error::usage("lora.modules is empty; name at least one module"));
        }
        self.scale.convention().validate().map_err(|error| named("lora.scale", error))?;
        self.variant().validate().map_err(|error| named("lora", error))?;
        self.targets().map(drop).map_err(|error| Error::usage(format!("lora.targets: {error}")))
    }
}

/// An error about a value with the key of its setting in `section`.
fn named(section: &str, error: mars_lora::Error) -> Error {
    match error {
        mars_lora::Error::BadValue { name, value, expected } => {
            Error::usage(format!("{section}.{name} is {value}; it must be {expected}"))
        }
        mars_lora::Error::Variant { why } => Error::usage(format!("lora.dora and lora.init: {why}")),
        other => other.into(),
    }
}
