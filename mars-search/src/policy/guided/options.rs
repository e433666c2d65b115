//! Settings of the policy `guided`.

use crate::Error;
use mars_laws::BalanceOptions;
use serde::{Deserialize, Serialize};

/// Settings of `guided`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuidedOptions {
    /// What the whole search may cost, calibration, race, final run and evaluations together, in fine-tunes; 1 or
    /// more. Default 1.39, the cost that the paper claims (16 / 11.5: 1/11.5 of a 4x4 grid). After calibration by
    /// registration whatever races is priced at its ranks by what the runs before it have cost. Without it, or where a trainer
    /// counts no FLOPs, what is compared first is priced before anything is measured, on the assumption that no choice costs
    /// more than 1.15 times as much as another, with levels of all ranks 1.35 times.
    pub fine_tunes: f64,
    /// Probability that the paired evidence drops the candidate that is truly best on the validation
    /// distribution at that step, over the whole race; between 0 and 1, default 0.05. It does not count drops for
    /// lack of budget. Where validation losses are compared, it is with their handicap: choices with more adapter parameters than
    /// the baseline (the middle, or the default) are charged `0.075 * (1 - step / steps)` nats. Training losses of the first pass
    /// over the data are compared as they are.
    pub error_rate: f64,
    /// Relative difference of validation perplexity that counts as noise at the last cut, where the choice with
    /// fewer adapter parameters wins; >= 0, default 0.005. Where training losses decide, so does a difference of one
    /// standard error or less.
    pub tolerance: f64,
    /// Balance and gates, used where the cap pays for calibration; candidates and default rank are the space's.
    pub balance: BalanceOptions,
}

impl Default for GuidedOptions {
    fn default() -> Self {
        Self { fine_tunes: 1.39, error_rate: 0.05, tolerance: 0.005, balance: BalanceOptions::default() }
    }
}

impl GuidedOptions {
    /// Whether all settings are within their ranges.
    ///
    /// # Errors
    /// [`Error::PolicySetting`] with the first that is not.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::PolicySetting { policy: "guided".to_owned(), why });
        if !(self.fine_tunes.is_finite() && self.fine_tunes >= 1.0) {
            return refuse(format!(
                "fine_tunes is {}; it must be >= 1, the final run alone",
                self.fine_tunes
            ));
        }
        if !(self.error_rate > 0.0 && self.error_rate < 1.0) {
            return refuse(format!("the error rate is {}; it must be > 0 and < 1", self.error_rate));
        }
        if !(self.tolerance.is_finite() && self.tolerance >= 0.0) {
            return refuse(format!("the tolerance is {}; it must be a number >= 0", self.tolerance));
        }
        let BalanceOptions { kappa, level, min_r2_log, max_octaves, .. } = self.balance;
        if !(kappa.is_finite() && kappa > 0.0) {
            return refuse(format!("kappa is {kappa}; it must be a number > 0"));
        }
        if !(level > 0.0 && level < 1.0) {
            return refuse(format!("the level of the gates is {level}; it must be > 0 and < 1"));
        }
        if min_r2_log.is_nan() || max_octaves.is_nan() {
            return refuse(format!(
                "the gates min_r2_log = {min_r2_log} and max_octaves = {max_octaves} must be numbers"
            ));
        }
        Ok(())
    }
}
