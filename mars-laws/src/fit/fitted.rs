//! A fitted law: its parameters, how well they fit, and whether they may be used.

use super::{Goodness, Parameter};
use serde::{Deserialize, Serialize};

/// Why a fit ended, and so whether its parameters may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// At a minimum, every parameter determined by the data.
    Converged,
    /// The evaluations allowed ran out before a criterion of convergence held.
    Budget,
    /// The values are all equal, or there are fewer distinct inputs than parameters.
    Degenerate,
    /// At a minimum, but some combination of parameters leaves the predictions unchanged.
    RankDeficient,
}

impl Reason {
    /// Whether the parameters may be used: only after [`Reason::Converged`].
    pub fn is_ok(self) -> bool {
        self == Self::Converged
    }

    /// `converged`, `budget`, `degenerate`, `rank_deficient`
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Converged => "converged",
            Self::Budget => "budget",
            Self::Degenerate => "degenerate",
            Self::RankDeficient => "rank_deficient",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A fitted law and how well it fits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Name of the law.
    pub law: String,
    /// Names, units and bounds of the parameters.
    pub names: Vec<Parameter>,
    /// The parameters, in that order and in their units.
    pub parameters: Vec<f64>,
    /// Why the search ended.
    pub reason: Reason,
    /// Residuals, R^2, AICc and covariance.
    #[serde(flatten)]
    pub goodness: Goodness,
    /// Sum of weight * 2 rho(residual), rho as in [`Loss`](crate::Loss): the weighted sum of squares for the plain loss.
    pub cost: f64,
    /// Evaluations of the law over all points, all searches together.
    pub evaluations: usize,
    /// Searches that ended at finite parameters.
    pub starts: usize,
    /// Searches that ended at the same cost as the best (to 1e-6 relative).
    pub agreeing: usize,
}

impl Fit {
    /// A parameter by its symbol.
    pub fn parameter(&self, name: &str) -> Option<f64> {
        let at = self.names.iter().position(|p| p.name == name)?;
        self.parameters.get(at).copied()
    }
}
