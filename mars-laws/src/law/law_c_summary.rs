//! A fitted Law-C as numbers, without residuals and refits: what reports and decisions store.

use super::{LawC, LawCFit};
use crate::{fit::Reason, uncertainty::Interval};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A fitted Law-C as numbers: `steps = k rank^gamma samples^delta + offset`.
///
/// Serialises to `k`, `gamma`, `delta`, `offset`, `r2_log`, `interval`, `reason`, in that order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LawCSummary {
    /// The law; in JSON its parameters are on the same level as the fields below.
    #[serde(flatten)]
    pub law: LawC,
    /// R^2 of ln(steps), at most 1; 0 when all times are equal.
    pub r2_log: f64,
    /// Bootstrap intervals of `k`, `gamma`, `delta` and, if fitted, `offset`, by symbol, at the level of the fit
    /// (0.95 by default); unbounded without refits.
    pub interval: BTreeMap<String, Interval>,
    /// Why the fit ended; use the law only if [`Reason::is_ok`].
    pub reason: Reason,
}

impl From<&LawCFit> for LawCSummary {
    fn from(fit: &LawCFit) -> Self {
        Self { law: fit.law, r2_log: fit.r2_log, interval: fit.interval.clone(), reason: fit.reason }
    }
}
