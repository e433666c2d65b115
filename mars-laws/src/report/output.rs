//! A full report as plain data; serde gives its JSON form, field for field.

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
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FitOutput {
    /// Law-C of each module; empty without convergence times.
    pub law_c: BTreeMap<String, LawCOutput>,
    /// Modules whose observations determine no Law-C, and why; left out of the JSON if there are none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unfitted: BTreeMap<String, String>,
    /// Law-P; absent (`null`) without perplexities.
    pub law_p: Option<LawPOutput>,
    /// Why the perplexities determine no Law-P; left out of the JSON where they do, or there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfitted_law_p: Option<String>,
    /// For each candidate rank of the reference module, the rank that balances each other module.
    pub balanced: Vec<BalancedOutput>,
    /// Why no ranks are balanced though a module has a Law-C; left out of the JSON where they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unbalanced: Option<String>,
    /// For each measured size, the best of the ranks measured there and the best predicted.
    pub best_rank_by_size: Vec<BestRankOutput>,
    /// Predictions at the sizes asked for; left out of the JSON if there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub predictions: Vec<PredictionOutput>,
}

/// Law-C of one module and how well it fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LawCOutput {
    /// The law, its intervals and why the fit ended; in JSON its fields are on the same level as those below.
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

/// Law-P, and how well every form predicts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LawPOutput {
    /// The form used.
    pub form: Form,
    /// Its parameters by symbol.
    pub params: BTreeMap<String, f64>,
    /// Root mean square residual on the fitted observations, in perplexity.
    pub rms: f64,
    /// Every form's score.
    pub scores: Vec<ScoreOutput>,
    /// What decided on the form.
    pub decided_by: DecidedBy,
    /// Bootstrap intervals of the parameters by symbol.
    pub interval: BTreeMap<String, Interval>,
    /// Why the fit ended.
    pub reason: Reason,
    /// Number of observations fitted.
    pub points: usize,
}

/// How well one form of Law-P predicts the fitted and the larger sizes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoreOutput {
    /// The form.
    pub form: Form,
    /// Root mean square residual on the fitted observations, in perplexity.
    pub rms: Option<f64>,
    /// Root mean square error on the observations of larger sizes, in perplexity; absent without any.
    pub rms_larger: Option<f64>,
    /// Number of sizes at which the best measured ranks are the best predicted.
    pub best_right: usize,
    /// Number of sizes at which more than one choice of ranks was measured.
    pub best_of: usize,
    /// Root mean square error of rolling validation, in perplexity; absent without a step.
    pub rolling_rms: Option<f64>,
    /// The steps of rolling validation.
    pub rolling: Vec<RollingStep>,
    /// Corrected Akaike criterion, lower is better.
    pub aicc: Option<f64>,
    /// Why the fit ended; absent if it could not be made.
    pub reason: Option<Reason>,
    /// Why it could not be made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// One balanced rank; in JSON each rank is under the name of its module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BalancedOutput {
    /// Rank of the reference module and of the balanced one.
    #[serde(flatten)]
    pub ranks: BTreeMap<String, usize>,
    /// Whether the rank was solved, clamped or replaced by the default.
    pub outcome: OutcomeKind,
    /// Bootstrap interval of the solution before rounding.
    pub interval: Option<Interval>,
    /// Number of samples for which it was computed.
    pub samples: usize,
    /// The module that was balanced.
    pub module: String,
    /// The solution before rounding; absent when there is none.
    pub raw: Option<f64>,
    /// Why the default rank was taken; only in a fallback.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<FallbackReason>,
}

/// The best ranks at one size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BestRankOutput {
    /// Number of samples.
    pub samples: usize,
    /// Whether this size was among those fitted.
    pub fitted: bool,
    /// Best measured ranks.
    pub measured: Ranks,
    /// Their measured perplexity, the weighted mean of repeats.
    pub perplexity: f64,
    /// The ranks of lowest predicted perplexity, among those measured at this size.
    pub predicted: Ranks,
    /// The perplexity predicted for them.
    pub predicted_perplexity: f64,
    /// Share of the refits in which they are the best, 0 to 1; absent where the refits do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
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
    /// Predicted convergence time in optimizer steps.
    pub steps: f64,
    /// Bootstrap interval of it.
    pub interval: Interval,
}
