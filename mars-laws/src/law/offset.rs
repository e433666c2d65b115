//! Whether a law has its constant term.

use crate::{Error, fit::Fit};
use serde::{Deserialize, Serialize};

/// Whether a law gets its offset E, which is >= 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Offset {
    /// E = 0.
    Never,
    /// E fitted (the published forms).
    Always,
    /// E fitted if that lowers AICc, else 0. The default of Law-C (ours): few points do not determine E.
    #[default]
    Auto,
}

impl Offset {
    /// The form and its fit that this choice takes; `fit` is told whether there is an offset.
    ///
    /// # Errors
    /// Those of the fit; with [`Offset::Auto`] those of the fit without an offset.
    pub(super) fn decide<F>(self, fit: impl Fn(bool) -> Result<(F, Fit), Error>) -> Result<(F, Fit), Error> {
        match self {
            Self::Never => fit(false),
            Self::Always => fit(true),
            Self::Auto => {
                let without = fit(false)?;
                let score = |fit: &Fit| fit.goodness.aicc.unwrap_or(f64::INFINITY);
                match fit(true) {
                    Ok(with) if with.1.reason.is_ok() && score(&with.1) < score(&without.1) => Ok(with),
                    _ => Ok(without),
                }
            }
        }
    }
}
