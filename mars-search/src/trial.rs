//! A trial: one training run, or one further stretch of it, that a policy asks for.

use crate::Method;
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

fn is_zero(number: &usize) -> bool {
    *number == 0
}
