//! How a balanced rank was obtained: solved, clamped, or the default.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How a balanced rank was obtained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The closed form gave a rank within the candidates' range, or at most half a step (in log2) outside it; it was
    /// rounded to the nearest candidate.
    Solved,
    /// The closed form gave a finite rank further outside (ours).
    Clamped {
        /// The rank it gave.
        raw: f64,
        /// The end of the range taken instead.
        to: usize,
    },
    /// The default rank is used instead of the closed form.
    Fallback(FallbackReason),
}

/// An [`Outcome`] without its numbers; the worst of several is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutcomeKind {
    /// A rank that solves the balance.
    Solved,
    /// An end of the candidates' range, the solution lying outside.
    Clamped,
    /// The default rank.
    Fallback,
}

/// Why the default rank is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FallbackReason {
    /// The bracket is 0 or negative, so that its power is 0 or complex: the time wanted is below the module's offset
    /// (published, as "complex solution").
    NonPositiveBracket,
    /// A parameter, a rank, a size or the solution is not a finite number.
    NotFinite,
    /// The fits do not determine the rank: the closed form gives a number without meaning (ours).
    IllConditioned,
}

impl Outcome {
    /// The outcome without its numbers.
    pub fn kind(&self) -> OutcomeKind {
        match self {
            Self::Solved => OutcomeKind::Solved,
            Self::Clamped { .. } => OutcomeKind::Clamped,
            Self::Fallback(_) => OutcomeKind::Fallback,
        }
    }

    /// `solved`, `clamped` or `fallback`
    pub fn as_str(&self) -> &'static str {
        self.kind().as_str()
    }
}

impl OutcomeKind {
    /// `solved`, `clamped` or `fallback`
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Solved => "solved",
            Self::Clamped => "clamped",
            Self::Fallback => "fallback",
        }
    }
}

/// `solved`, `clamped` or `fallback`
impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// `solved`, `clamped (raw 83.2 to 64)`, `fallback (ill-conditioned)`
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Solved => write!(f, "solved"),
            Self::Clamped { raw, to } => write!(f, "clamped (raw {raw:.3} to {to})"),
            Self::Fallback(reason) => write!(f, "fallback ({reason})"),
        }
    }
}

impl fmt::Display for FallbackReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NonPositiveBracket => "no positive bracket",
            Self::NotFinite => "not finite",
            Self::IllConditioned => "ill-conditioned",
        })
    }
}
