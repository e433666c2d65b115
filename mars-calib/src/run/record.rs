//! What a run left behind: curves, counts, cost, and how it ended.

use crate::{RunId, RunSpec};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// One value of a curve.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Optimizer steps done when the value was taken; 0 = before the first.
    pub step: usize,
    /// Mean cross-entropy per answer token (natural log); NaN and infinities survive storage.
    #[serde(with = "any_float")]
    pub loss: f64,
}

/// Validation loss at one step, by blocks of the split: what paired comparisons of runs are made on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockPoint {
    /// Optimizer steps done.
    pub step: usize,
    /// What each block of consecutive validation samples adds, scaled so that the mean over the blocks is
    /// the loss of the whole split.
    /// With T answer tokens and B blocks: `losses[b] = B / T * (sum of the token losses of block b)`, nats. A
    /// trainer of this crate makes 16 blocks, or one for each sample if there are fewer.
    pub losses: Vec<f32>,
}

/// Ranks of all layers that a run acts on, at one step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankPoint {
    /// Optimizer steps done.
    pub step: usize,
    /// Rank by module path; 0 where a method has pruned everything.
    pub ranks: BTreeMap<String, usize>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RunEnd {
    /// All steps done.
    Finished,
    /// Stopped early because the loss no longer moved.
    Converged,
    /// Stopped early because it over-fitted for certain.
    Overfit,
    /// The loss or a gradient was no longer a number.
    Diverged {
        /// The step at which that was seen.
        step: usize,
    },
    /// The trainer could not do the run.
    Failed {
        /// Why, as a sentence.
        why: String,
    },
    /// Stopped on request; a checkpoint holds the state.
    Interrupted,
}

impl RunEnd {
    /// Whether the result stands: repeating the run would give the same again.
    /// Finished, converged, over-fitted and diverged runs are; failed and interrupted ones are tried again.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Finished | Self::Converged | Self::Overfit | Self::Diverged { .. })
    }
}

impl fmt::Display for RunEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finished => f.write_str("finished"),
            Self::Converged => f.write_str("converged"),
            Self::Overfit => f.write_str("over-fitted"),
            Self::Diverged { step } => write!(f, "diverged at step {step}"),
            Self::Failed { why } => write!(f, "failed: {why}"),
            Self::Interrupted => f.write_str("interrupted"),
        }
    }
}

/// The result of one run. Every count and cost is of the whole run from step 0, whether it went
/// straight through or continued an earlier one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Content hash of `spec`.
    pub id: RunId,
    /// What was run.
    pub spec: RunSpec,
    /// Validation loss, by step.
    /// Nats per answer token, ascending steps, from step 0 to the last.
    pub val: Vec<CurvePoint>,
    /// The finite ones of these losses by blocks of the split; empty where the trainer does not report them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub val_blocks: Vec<BlockPoint>,
    /// Training loss, by step.
    /// Nats per answer token of the batch of one step, taken before its update; the step counts that update.
    pub train: Vec<CurvePoint>,
    /// Relative size of the adapter's update, by step: the norm of the change of all factors in one step over the norm
    /// of the factors after it; without unit. Empty where the trainer does not measure it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub updates: Vec<CurvePoint>,
    /// Ranks by layer at each evaluation; empty for plain LoRA, whose ranks stay as they are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rank_maps: Vec<RankPoint>,
    /// Answer tokens trained on.
    /// Counted with repetition, without padding; 0 where a trainer does not report them.
    pub tokens: u64,
    /// Samples trained on, counted with repetition.
    pub samples_seen: u64,
    /// Model FLOPs of training.
    /// Forward and backward passes as if the run were trained alone, a multiplication and an addition counted
    /// as 2; 0 where a trainer does not report them.
    pub flops: f64,
    /// Model FLOPs of evaluation.
    /// Forward passes only, in the same unit.
    pub eval_flops: f64,
    /// Wall time, seconds, shared evenly among runs trained in one pass.
    pub wall_s: f64,
    /// Trainable parameters.
    pub trainable: u64,
    /// How the run ended.
    pub end: RunEnd,
}

impl RunRecord {
    /// A record of `spec` with nothing in it yet but its end.
    /// Counts and costs are 0, curves are empty; the id is computed.
    pub fn empty(spec: RunSpec, end: RunEnd) -> Self {
        Self {
            id: spec.id(),
            spec,
            val: Vec::new(),
            val_blocks: Vec::new(),
            train: Vec::new(),
            updates: Vec::new(),
            rank_maps: Vec::new(),
            tokens: 0,
            samples_seen: 0,
            flops: 0.0,
            eval_flops: 0.0,
            wall_s: 0.0,
            trainable: 0,
            end,
        }
    }
}

/// Floats in JSON, which has no NaN: a finite value as a number, the others as `"NaN"`, `"inf"`, `"-inf"`.
mod any_float {
    use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        Number(f64),
        Text(String),
    }

    pub(super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() { to.serialize_f64(*value) } else { to.collect_str(value) }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        match Either::deserialize(from)? {
            Either::Number(value) => Ok(value),
            Either::Text(text) => match text.as_str() {
                "NaN" => Ok(f64::NAN),
                "inf" => Ok(f64::INFINITY),
                "-inf" => Ok(f64::NEG_INFINITY),
                _ => Err(D::Error::custom(format!("`{text}` is not a number"))),
            },
        }
    }
}
