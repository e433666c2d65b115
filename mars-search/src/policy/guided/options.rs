//! Settings of the policy `guided`.

use crate::Error;
use mars_laws::BalanceOptions;

/// Settings of `guided`.
#[derive(Clone, Debug, PartialEq)]
pub struct GuidedOptions {
    /// What the whole search may cost, calibration, race, final run and evaluations together, in fine-tunes; 1 or
    /// more. Default 1.39, the price that the paper claims (1/11.5 of a 4x4 grid). The opening, up to the first cut, is
    /// priced before anything is known, as if no choice were more than 1.15 times as dear
    /// as the others.
    pub fine_tunes: f64,
    /// Probability that the paired evidence drops the candidate that is truly best on the validation
    /// distribution at that step, over the whole race; between 0 and 1, default 0.05. Drops for want of budget are
    /// told apart from it. Of choices dearer than the first it is the loss with the lead that they owe (at most 0.075
    /// nats, falling to 0 at the end of the run).
    pub error_rate: f64,
    /// Relative difference of validation perplexity that counts as noise at the last cut, where the choice with
    /// fewer adapter parameters wins; >= 0, default 0.005.
    pub tolerance: f64,
    /// Balance and gates, where calibration is paid for; candidates and default rank are the space's.
    pub balance: BalanceOptions,
}

impl Default for GuidedOptions {
    fn default() -> Self {
        Self { fine_tunes: 1.39, error_rate: 0.05, tolerance: 0.005, balance: BalanceOptions::default() }
    }
}

impl GuidedOptions {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::Budget { why });
        if !(self.fine_tunes.is_finite() && self.fine_tunes >= 1.0) {
            return refuse(format!("the cap is {} fine-tunes; the final run alone is 1", self.fine_tunes));
        }
        if !(self.error_rate > 0.0 && self.error_rate < 1.0) {
            return refuse(format!("the error rate is {}; it must lie between 0 and 1", self.error_rate));
        }
        if !(self.tolerance.is_finite() && self.tolerance >= 0.0) {
            return refuse(format!("the tolerance is {}; it must be a number >= 0", self.tolerance));
        }
        let BalanceOptions { kappa, level, .. } = self.balance;
        if !(kappa.is_finite() && kappa > 0.0) {
            return refuse(format!("kappa is {kappa}; it must be a number > 0"));
        }
        if !(level > 0.0 && level < 1.0) {
            return refuse(format!("the level of the gates is {level}; it must lie between 0 and 1"));
        }
        Ok(())
    }
}
