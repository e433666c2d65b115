//! A trial: one training run, or one further stretch of it, that a policy asks for; and what came of it.

use crate::{Cost, Method, losses};
use mars_laws::Ranks;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a policy wants a trial for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Calibration of one module's convergence time: only that module is adapted.
    Alone,
    /// Calibration of the performance law: all modules adapted, on part of the data.
    Joint,
    /// One of several rank choices that compete at full data to be the result.
    Race,
    /// The one fine-tune of ranks that are already chosen.
    Final,
}

impl Role {
    /// Whether it measures for laws; others are the result, or compete to be it, on all the data.
    pub fn is_calibration(self) -> bool {
        matches!(self, Self::Alone | Self::Joint)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Alone => "alone",
            Role::Joint => "joint",
            Role::Race => "race",
            Role::Final => "final",
        })
    }
}

/// One run that a policy asks for.
///
/// The run trains from step 0 (or from the end of `continues`) up to `steps`, under a learning-rate
/// schedule of `horizon` steps, and evaluates the validation loss at least at its last step. All
/// rungs of one candidate share `horizon`, so that the last rung is the same run as one trained
/// straight through.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Trial {
    /// Unique within the policy, counted from 0 in the order of asking.
    pub id: u32,
    /// What the trial is for.
    pub role: Role,
    /// LoRA rank of each module; absent modules are not adapted.
    pub ranks: Ranks,
    /// Size of the training subset, in samples. Subsets are nested.
    pub samples: usize,
    /// Seed of adapter initialisation and data order.
    pub seed: u64,
    /// Optimizer steps to have trained when the trial ends, counted from step 0.
    pub steps: usize,
    /// Length of the learning-rate schedule in optimizer steps; at least `steps`.
    pub horizon: usize,
    /// Between step 0 and this one nothing is evaluated; 0, the default, leaves out nothing. Of no influence on the
    /// training; trials that continue each other have the same.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub evaluate_from: usize,
    /// Whether the run may end before `steps`, once its convergence time is certain; its last loss is of no interest then.
    #[serde(
        rename = "until_settled",
        alias = "stop_when_converged",
        default,
        skip_serializing_if = "std::ops::Not::not"
    )]
    pub stop_when_converged: bool,
    /// An earlier trial of the same policy that this one carries on: everything equal but for its
    /// smaller `steps` (and `role`, `id`). Training the whole again instead gives the same numbers.
    pub continues: Option<u32>,
    /// How to fine-tune, where it is not plain LoRA at constant ranks; then `ranks` are the
    /// method's budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
}

impl Trial {
    /// Plain LoRA from step 0 to `steps`, which are the whole of its schedule, with seed 0 and id 0.
    pub fn new(role: Role, ranks: Ranks, samples: usize, steps: usize) -> Self {
        Self {
            id: 0,
            role,
            ranks,
            samples,
            seed: 0,
            steps,
            horizon: steps,
            evaluate_from: 0,
            stop_when_converged: false,
            continues: None,
            method: None,
        }
    }
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrialEnd {
    /// Trained up to its `steps`.
    Finished,
    /// The loss left the finite numbers.
    Diverged {
        /// The optimizer step at which it did.
        step: usize,
    },
    /// The run could not be trained or evaluated.
    Failed {
        /// What went wrong, as a sentence.
        why: String,
    },
}

/// A trial with what was measured on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialResult {
    /// The trial, exactly as it was asked for.
    pub trial: Trial,
    /// Validation curve as (optimizer step, mean cross-entropy per answer token in nats), by rising
    /// step, from step 0 also where the trial continues another. A loss that is not finite is `null` in files, and NaN when it
    /// is read.
    #[serde(with = "losses")]
    pub val_curve: Vec<(usize, f64)>,
    /// The last validation loss by blocks of the split, which average to it: what paired comparisons are made on.
    /// Empty where the trainer does not report them, or the trial has no usable loss.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<f64>,
    /// The validation losses before the last one by the same blocks, as (optimizer step, nats per answer token
    /// `[blocks]`), by rising step; step 0, the model before training, comes first. Empty where they are not reported,
    /// and for joint calibration runs, which nothing compares by blocks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier_blocks: Vec<(usize, Vec<f64>)>,
    /// Training losses as (optimizer step counted from 1, mean cross-entropy of its batch before the update, in nats per
    /// answer token), by rising step, also those of a trial that this one continues. Runs of equal seed and samples see the
    /// same batches. Empty where they are not reported, and for calibration runs; in files as `val_curve`.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "losses")]
    pub train_curve: Vec<(usize, f64)>,
    /// The step of an evaluation whose adapter is what the trial leaves; `None` where that is the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<usize>,
    /// Convergence time in optimizer steps; `None` where it is censored or was not looked for.
    pub convergence: Option<f64>,
    /// Why the convergence time is censored, as a sentence; `None` where it is not.
    pub censored: Option<String>,
    /// How the trial ended.
    pub end: TrialEnd,
    /// Whether the trial continues another, but was trained again from step 0, so that `cost` is that of all its steps.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub restarted: bool,
    /// What the trial cost; for a continued trial the extra part only.
    pub cost: Cost,
}

impl TrialResult {
    /// The result of a trial that trained up to its `steps`: `val_curve` as (optimizer step, nats per answer token) by
    /// rising step, `cost` of this trial alone. Without blocks and without a convergence time.
    pub fn finished(trial: &Trial, val_curve: Vec<(usize, f64)>, cost: Cost) -> Self {
        Self {
            trial: trial.clone(),
            val_curve,
            blocks: Vec::new(),
            earlier_blocks: Vec::new(),
            train_curve: Vec::new(),
            kept: None,
            convergence: None,
            censored: None,
            end: TrialEnd::Finished,
            restarted: false,
            cost,
        }
    }

    /// With the last validation loss by blocks of the split.
    #[must_use]
    pub fn with_blocks(self, blocks: Vec<f64>) -> Self {
        Self { blocks, ..self }
    }

    /// With the validation losses before the last one by blocks of the split, as (optimizer step, `[blocks]`), by rising
    /// step.
    #[must_use]
    pub fn with_earlier_blocks(self, earlier_blocks: Vec<(usize, Vec<f64>)>) -> Self {
        Self { earlier_blocks, ..self }
    }

    /// With the training losses as (optimizer step, nats per answer token), by rising step.
    #[must_use]
    pub fn with_train_curve(self, train_curve: Vec<(usize, f64)>) -> Self {
        Self { train_curve, ..self }
    }

    /// With the step of an evaluation whose adapter is what the trial leaves, in place of the last.
    #[must_use]
    pub fn with_kept(self, kept: Option<usize>) -> Self {
        Self { kept, ..self }
    }

    /// With a convergence time in optimizer steps.
    #[must_use]
    pub fn with_convergence(self, steps: f64) -> Self {
        Self { convergence: Some(steps), censored: None, ..self }
    }

    /// With a censored convergence time; `why` as a sentence.
    #[must_use]
    pub fn with_censored(self, why: impl Into<String>) -> Self {
        Self { convergence: None, censored: Some(why.into()), ..self }
    }

    /// With another end than [`TrialEnd::Finished`].
    #[must_use]
    pub fn with_end(self, end: TrialEnd) -> Self {
        Self { end, ..self }
    }

    /// The validation loss of the adapter that the trial leaves, in nats per answer token: the last, or that at the step
    /// [`kept`](Self::kept).
    ///
    /// `None` when the trial diverged or failed, when its curve is empty, or when that loss is not
    /// a finite number: such a trial is never chosen.
    pub fn kept_loss(&self) -> Option<f64> {
        match self.end {
            TrialEnd::Finished => {
                let kept = self.kept.and_then(|kept| self.val_curve.iter().find(|(step, _)| *step == kept));
                kept.or(self.val_curve.last()).map(|&(_, loss)| loss).filter(|loss| loss.is_finite())
            }
            TrialEnd::Diverged { .. } | TrialEnd::Failed { .. } => None,
        }
    }

    /// Optimizer steps that were trained: up to the last evaluation, which may be before the trial's `steps`.
    pub(crate) fn trained(&self) -> usize {
        self.val_curve.last().map_or(self.trial.steps, |(step, _)| *step)
    }

    /// The same loss by blocks of the split; empty where none are reported of it.
    pub(crate) fn kept_blocks(&self) -> &[f64] {
        let kept = self.kept.filter(|kept| self.val_curve.iter().any(|(step, _)| step == kept));
        kept.map_or(&self.blocks, |kept| self.blocks_at(kept).unwrap_or_default())
    }

    /// The validation loss at step `step` by blocks of the split; `None` where it was not evaluated then, or no blocks
    /// are reported.
    pub(crate) fn blocks_at(&self, step: usize) -> Option<&[f64]> {
        if self.val_curve.last().is_some_and(|(last, _)| *last == step) {
            return (!self.blocks.is_empty()).then_some(&self.blocks);
        }
        self.earlier_blocks.iter().find(|(at, _)| *at == step).map(|(_, blocks)| blocks.as_slice())
    }

    /// Why the trial has no last loss, as a sentence; `None` when it has one.
    pub fn fault(&self) -> Option<String> {
        match &self.end {
            TrialEnd::Diverged { step } => Some(format!("the loss diverged at step {step}")),
            TrialEnd::Failed { why } => Some(why.clone()),
            TrialEnd::Finished if self.kept_loss().is_some() => None,
            TrialEnd::Finished => Some(match self.val_curve.last() {
                None => "it was never evaluated".to_owned(),
                Some((step, loss)) => format!("its validation loss at step {step} is {loss}"),
            }),
        }
    }
}
