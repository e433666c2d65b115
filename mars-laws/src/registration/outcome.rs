//! What a registration gives: shifts and their exponent, or why there are none.

use crate::uncertainty::Interval;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Shifts, or why the curves cannot be registered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum RegistrationOutcome {
    /// The curves are one curve.
    Registered(Registration),
    /// They are not, or too little is known.
    Refused {
        /// Why.
        why: Refusal,
    },
}

impl RegistrationOutcome {
    /// The registration, if there is one.
    pub fn registration(&self) -> Option<&Registration> {
        match self {
            Self::Registered(registration) => Some(registration),
            Self::Refused { .. } => None,
        }
    }
}

/// How far the curve of one rank is ahead of that of the lowest rank.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RegisteredShift {
    /// LoRA rank.
    pub rank: usize,
    /// s_r in `t(r) / t(r_0) = exp(-s_r)`: above 0 where the rank is faster than the lowest one; 0 for that one.
    pub shift: f64,
    /// Its interval.
    pub interval: Interval,
}

/// Curves of different ranks laid on one another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Registration {
    /// One for each rank, ascending.
    pub shifts: Vec<RegisteredShift>,
    /// The exponent of the rank in Law-C: `t ~ r^gamma`, minus the slope of the shifts over ln r (least squares).
    pub gamma: f64,
    /// Its interval. It holds 0 where the rank buys no speed: there is then nothing to balance.
    pub gamma_interval: Interval,
    /// R^2 of the straight line through the shifts; absent with fewer than three ranks, or where all shifts are equal.
    pub straightness: Option<f64>,
    /// Root mean square distance of a rank's points from the common curve as a part of that rank's largest improvement,
    /// 0 to 1: the largest of the ranks.
    pub misfit: f64,
    /// R^2 of the points around the common curve, at most 1.
    pub r2: f64,
    /// The common curve, (time, loss in nats per token), in the time of the lowest rank: for a picture.
    pub curve: Vec<[f64; 2]>,
    /// What the intervals are taken from; not in files.
    #[serde(skip)]
    pub(crate) redrawn: Redrawn,
}

/// The shifts of redrawn curves.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Redrawn {
    /// In the order of [`Registration::shifts`], one list for each draw.
    pub(crate) shifts: Vec<Vec<f64>>,
    /// Degrees of freedom of the registration.
    pub(crate) freedom: f64,
}

impl Registration {
    /// Where a rank is among the shifts.
    pub(crate) fn place(&self, rank: usize) -> Option<usize> {
        self.shifts.iter().position(|shift| shift.rank == rank)
    }

    /// The times of all registered ranks, ascending, given those of one or more of them. `None` where none of those ranks
    /// is registered, or a time is not above 0.
    /// `t(r) = exp(mean(ln t_i + s_i) - s_r)` over the given `(rank, time)`; times in any unit.
    pub fn times(&self, known: &[(usize, f64)]) -> Option<Vec<(usize, f64)>> {
        let ahead = |rank: usize| self.shifts.iter().find(|one| one.rank == rank).map(|one| one.shift);
        let known: Vec<f64> =
            known.iter().filter_map(|(rank, time)| Some(time.ln() + ahead(*rank)?)).collect();
        let lowest = known.iter().sum::<f64>() / known.len() as f64;
        let time = |one: &RegisteredShift| (one.rank, (lowest - one.shift).exp());
        lowest.is_finite().then(|| self.shifts.iter().map(time).collect())
    }
}

/// Why curves are not registered.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Fewer than two ranks have a curve of at least two evaluations after the start.
    TooFewCurves,
    /// A module that does not learn has no speed.
    NoImprovement {
        /// The rank whose curve improves least.
        rank: usize,
        /// Its improvement as a part of the loss of the base model.
        part: f64,
    },
    /// Not enough evaluations for the shifts and the common curve.
    TooFewPoints {
        /// Evaluations after the start, while the loss falls.
        found: usize,
        /// Least number.
        needed: usize,
    },
    /// A curve shares too little of its course with the others: the shift would be a guess.
    NoOverlap {
        /// Its rank.
        rank: usize,
        /// Part of its registered evaluations within the range of the others.
        part: f64,
    },
    /// The curves are not one curve.
    NotOneCurve {
        /// [`Registration::misfit`].
        misfit: f64,
    },
    /// The shifts do not lie on a straight line over ln r: no power of the rank.
    NotStraight {
        /// The rank that is farthest from the line.
        rank: usize,
        /// How far its shift lies above the line.
        departure: f64,
    },
    /// The search for the shifts ended without a determined minimum.
    NotDetermined,
}

impl fmt::Display for RegistrationOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Registered(found) => write!(
                f,
                "the curves are one: gamma {:.3}, interval [{:.3}, {:.3}]",
                found.gamma, found.gamma_interval.lo, found.gamma_interval.hi
            ),
            Self::Refused { why } => why.fmt(f),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooFewCurves => f.write_str("fewer than two ranks have a usable curve"),
            Self::NoImprovement { rank, part } => {
                write!(f, "at rank {rank} the loss improved by only {:.1} %", 100.0 * part)
            }
            Self::TooFewPoints { found, needed } => {
                write!(f, "{found} evaluations while the loss falls, {needed} are needed")
            }
            Self::NoOverlap { rank, part } => {
                write!(f, "only {:.0} % of the curve of rank {rank} is shared with the others", 100.0 * part)
            }
            Self::NotOneCurve { misfit } => write!(
                f,
                "the curves of the ranks are not one curve shifted in log time: one is {:.1} % of its improvement away",
                100.0 * misfit
            ),
            Self::NotStraight { rank, departure } => write!(
                f,
                "the times are no power of the rank: rank {rank} is {} than the others say by a factor of {:.2}",
                if *departure > 0.0 { "faster" } else { "slower" },
                departure.abs().exp()
            ),
            Self::NotDetermined => f.write_str("the shifts are not determined by the curves"),
        }
    }
}
