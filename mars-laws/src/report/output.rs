//! Everything `mars fit` reports, as plain data: the JSON it prints, field for field.

use crate::{
    choose::{Contender, DecidedBy, FallbackReason, OutcomeKind, RollingStep},
    fit::Reason,
    law::{Form, LawCFit, LawCSummary},
    observation::Ranks,
    uncertainty::Interval,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Laws, balanced ranks and best ranks from one set of observations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitOutput {
    /// Law-C of each module; empty without convergence times.
    pub law_c: BTreeMap<String, LawCOutput>,
    /// Law-P; `null` without perplexities.
    pub law_p: Option<LawPOutput>,
    /// For each candidate rank of the reference module, the rank that balances each other module.
    pub balanced: Vec<BalancedOutput>,
    /// For each measured size, the best of the ranks measured there and the best predicted.
    pub best_rank_by_size: Vec<BestRankOutput>,
    /// Predictions at the sizes asked for; left out if none was.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predictions: Vec<PredictionOutput>,
}

/// Law-C of one module and how well it fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LawCOutput {
    /// The law, its intervals and why the fit ended; in JSON its fields stand beside those below.
    #[serde(flatten)]
    pub summary: LawCSummary,
    /// Number of observations.
    pub points: usize,
    /// Weighted root mean square of ln(time) - ln(prediction).
    pub rms_log: Option<f64>,
    /// Corrected Akaike criterion; absent with too few observations for the correction.
    pub aicc: Option<f64>,
}

impl From<&LawCFit> for LawCOutput {
    fn from(fit: &LawCFit) -> Self {
        let goodness = &fit.fit.goodness;
        Self { summary: fit.into(), points: goodness.points, rms_log: goodness.rms_log, aicc: goodness.aicc }
    }
}

/// Law-P, and how every form does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LawPOutput {
    /// The form used.
    pub form: Form,
    /// Its parameters.
    pub params: BTreeMap<String, f64>,
    /// Root mean square residual on the fitted observations, in perplexity.
    pub rms: f64,
    /// Every form's score.
    pub scores: Vec<ScoreOutput>,
    /// What decided on the form.
    pub decided_by: DecidedBy,
    /// Intervals of the parameters.
    pub interval: BTreeMap<String, Interval>,
    /// Why the fit ended.
    pub reason: Reason,
    /// Number of observations fitted.
    pub points: usize,
}

/// How one form of Law-P does on the fitted and on the larger sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreOutput {
    /// The form.
    pub form: Form,
    /// Root mean square residual on the fitted observations, in perplexity.
    pub rms: Option<f64>,
    /// Root mean square error on the observations of larger sizes, in perplexity; absent without any.
    pub rms_larger: Option<f64>,
    /// Sizes at which the best measured rank is the best predicted.
    pub best_right: usize,
    /// Sizes at which more than one rank was measured.
    pub best_of: usize,
    /// Error of rolling validation, in perplexity.
    pub rolling_rms: Option<f64>,
    /// Its steps.
    pub rolling: Vec<RollingStep>,
    /// Corrected Akaike criterion.
    pub aicc: Option<f64>,
    /// Why the fit ended; absent if it could not be made.
    pub reason: Option<Reason>,
    /// Why it could not be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One balanced rank; the ranks stand under the modules' names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BalancedOutput {
    /// Rank of the reference module and of the balanced one.
    #[serde(flatten)]
    pub ranks: BTreeMap<String, usize>,
    /// Whether it was solved, clamped, or refused for the default rank.
    pub outcome: OutcomeKind,
    /// Interval of the solution before rounding.
    pub interval: Option<Interval>,
    /// Number of samples it holds for.
    pub samples: usize,
    /// The module that was balanced.
    pub module: String,
    /// The solution before rounding; absent when there is none.
    pub raw: Option<f64>,
    /// Why the default rank was taken; only with `fallback`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<FallbackReason>,
}

/// The best ranks at one size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestRankOutput {
    /// Number of samples.
    pub samples: usize,
    /// Whether the fit saw this size.
    pub fitted: bool,
    /// Best measured ranks.
    pub measured: Ranks,
    /// Their perplexity.
    pub perplexity: f64,
    /// The ranks of least predicted perplexity, among those measured at this size.
    pub predicted: Ranks,
    /// The perplexity predicted for them.
    pub predicted_perplexity: f64,
    /// Share of the refits under which they are the best.
    pub probability: f64,
    /// Whether the two agree.
    pub right: bool,
}

/// Predictions at one size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictionOutput {
    /// Number of samples.
    pub samples: usize,
    /// Convergence time of each module at each candidate rank.
    pub steps: Vec<StepsOutput>,
    /// Perplexity of every combination of ranks that was measured at some size.
    pub perplexity: Vec<Contender>,
}

/// A predicted convergence time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepsOutput {
    /// Name of the module.
    pub module: String,
    /// Its rank.
    pub rank: usize,
    /// Steps.
    pub steps: f64,
    /// Bootstrap interval of the steps.
    pub interval: Interval,
}
