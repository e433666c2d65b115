//! When runs over-fitted, and what is known before.

use crate::{Error, observation::Ranks, uncertainty::Interval, uncertainty::check_level};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// When a run over-fitted, in optimizer steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum OverfittingTime {
    /// From here on it got worse.
    Seen {
        /// Step of the lowest validation loss, > 0.
        steps: f64,
        /// Logarithm of the ratio of the evaluations after and before it, >= 0: how finely the time is known.
        width: f64,
    },
    /// It did not over-fit until here: a lower bound.
    After {
        /// The last step at which it was not worse than at its best, > 0.
        steps: f64,
    },
}

impl OverfittingTime {
    /// The step, seen or not.
    pub fn steps(self) -> f64 {
        match self {
            Self::Seen { steps, .. } | Self::After { steps } => steps,
        }
    }

    /// Whether over-fitting was seen.
    pub fn is_seen(self) -> bool {
        matches!(self, Self::Seen { .. })
    }
}

/// The over-fitting time of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverfittingObservation {
    /// LoRA rank of each adapted module, at least one.
    pub ranks: Ranks,
    /// D, training samples, >= 1.
    pub samples: usize,
    /// The time.
    pub time: OverfittingTime,
}

/// What is known of the exponent of a module's rank.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankExponent {
    /// gamma, <= 0.
    pub gamma: f64,
    /// Its standard error, > 0.
    pub error: f64,
}

impl RankExponent {
    /// Without a Law-C of the module: -0.3 with a standard error of 0.15, from no influence of the rank to the largest measured.
    pub const UNKNOWN: Self = Self { gamma: -0.3, error: 0.15 };

    /// Least standard error: exponents of one module in windows of different lengths differ by so much (measured).
    const LEAST_ERROR: f64 = 0.05;

    /// From the exponent of Law-C and its 95 % interval; the error is at least 0.05.
    /// [`UNKNOWN`](Self::UNKNOWN) where they are not finite; an exponent above 0 counts as 0.
    pub fn of_law_c(gamma: f64, interval: Interval) -> Self {
        let error = (interval.hi - interval.lo) / (2.0 * 1.96);
        if !gamma.is_finite() || !error.is_finite() {
            return Self::UNKNOWN;
        }
        Self { gamma: gamma.min(0.0), error: error.max(Self::LEAST_ERROR) }
    }
}

/// How times are fitted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OverfittingOptions {
    /// Standard deviation of the logarithm of a time over runs of equal ranks and samples, > 0. Default 0.2 (measured).
    pub scatter: f64,
    /// The exponent of the size before anything was measured, in [0, 1]: 0 is as many steps, 1 as many passes. Default 0.5
    /// (measured: 0.3 to 0.7 from 64 to 1,024 samples).
    pub delta: f64,
    /// Its standard error, > 0. Default 0.25.
    pub delta_error: f64,
    /// Nominal coverage of the intervals, between 0 and 1 (both excluded). Default 0.95.
    pub level: f64,
}

impl Default for OverfittingOptions {
    fn default() -> Self {
        Self { scatter: 0.2, delta: 0.5, delta_error: 0.25, level: 0.95 }
    }
}

/// Refuses what no law can be fitted to.
pub(super) fn check(
    observations: &[OverfittingObservation],
    exponents: &BTreeMap<String, RankExponent>,
    options: &OverfittingOptions,
) -> Result<(), Error> {
    check_level(options.level)?;
    let above = |value: f64| value > 0.0 && value.is_finite();
    let known = exponents.values();
    let gammas = || known.clone().map(|known| known.gamma);
    for (name, value, good, allowed) in [
        ("scatter", options.scatter, above(options.scatter), "above 0"),
        ("delta", options.delta, (0.0..=1.0).contains(&options.delta), "0 to 1"),
        ("delta_error", options.delta_error, above(options.delta_error), "above 0"),
        (
            "gamma",
            gammas().find(|gamma| !gamma.is_finite()).unwrap_or(0.0),
            gammas().all(f64::is_finite),
            "finite",
        ),
        (
            "error of gamma",
            exponents.values().map(|known| known.error).find(|error| !above(*error)).unwrap_or(0.0),
            exponents.values().all(|known| above(known.error)),
            "above 0",
        ),
    ] {
        if !good {
            return Err(Error::BadOption { name, value: value.to_string(), allowed });
        }
    }
    for (index, one) in observations.iter().enumerate() {
        let bad = |field: &str, value: String, allowed: &'static str| {
            Err(Error::BadObservation { index, field: field.into(), value, allowed })
        };
        if one.ranks.is_empty() {
            return bad("ranks", "empty".into(), "a rank >= 1 of at least one module");
        }
        if one.samples == 0 {
            return bad("samples", "0".into(), "1 or more");
        }
        let steps = one.time.steps();
        if !above(steps) {
            return bad("steps", steps.to_string(), "finite and above 0");
        }
        if let OverfittingTime::Seen { width, .. } = one.time
            && !(width >= 0.0 && width.is_finite())
        {
            return bad("width", width.to_string(), "finite and 0 or more");
        }
    }
    Ok(())
}
