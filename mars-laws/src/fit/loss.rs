//! The space of the residuals and the loss rho(r) on each of them.
//!
//! | loss | rho(r) |
//! |---|---|
//! | plain | r^2 / 2 |
//! | Huber (Huber 1964) | r^2 / 2 up to abs(r) = d, then d abs(r) - d^2 / 2 |
//! | Cauchy | d^2 / 2 ln(1 + (r / d)^2) |
//!
//! A robust loss is solved as plain least squares of the pseudo-residual sign(r) sqrt(2 rho(r)), half of whose
//! square is rho(r).

use crate::Error;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// The space in which residuals are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Residuals {
    /// value - prediction, in the unit of the value.
    #[default]
    Linear,
    /// ln(value) - ln(prediction), without unit: equal relative errors count equally.
    Log,
}

impl Residuals {
    /// The coordinate of a value in this space.
    pub(crate) fn of(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::Log => value.ln(),
        }
    }

    /// d coordinate / d value.
    pub(crate) fn slope(self, value: f64) -> f64 {
        match self {
            Self::Linear => 1.0,
            Self::Log => 1.0 / value,
        }
    }
}

/// How much a residual r counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// r^2 / 2: least squares.
    #[default]
    Plain,
    /// Quadratic up to this size, linear beyond. Same unit as the residual, > 0.
    Huber(f64),
    /// Quadratic well below this size, logarithmic well above. Same unit as the residual, > 0.
    Cauchy(f64),
}

impl Loss {
    /// The pseudo-residual and its derivative with respect to the residual.
    pub(crate) fn pseudo(self, residual: f64) -> (f64, f64) {
        match self {
            Self::Huber(d) if residual.abs() > d => {
                let size = (d * (2.0 * residual.abs() - d)).sqrt();
                (size * residual.signum(), d / size)
            }
            Self::Cauchy(d) => {
                let ratio = (residual / d).powi(2);
                if ratio < 1e-12 {
                    return (residual, 1.0);
                }
                let size = d * ratio.ln_1p().sqrt();
                (size * residual.signum(), residual.abs() / ((1.0 + ratio) * size))
            }
            Self::Plain | Self::Huber(_) => (residual, 1.0),
        }
    }

    pub(crate) fn check(self) -> Result<(), Error> {
        match self {
            Self::Huber(d) | Self::Cauchy(d) if !(d > 0.0 && d.is_finite()) => {
                Err(Error::BadOption { name: "loss", value: self.to_string(), allowed: "of a positive size" })
            }
            _ => Ok(()),
        }
    }
}

/// `plain`, `huber:0.02`, `cauchy:0.1`
impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => write!(f, "plain"),
            Self::Huber(d) => write!(f, "huber:{d}"),
            Self::Cauchy(d) => write!(f, "cauchy:{d}"),
        }
    }
}

impl FromStr for Loss {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let bad = || Error::BadOption {
            name: "loss",
            value: text.into(),
            allowed: "`plain`, `huber:SIZE` or `cauchy:SIZE`, SIZE a positive number",
        };
        let loss = match text.split_once(':') {
            None if text == "plain" => Self::Plain,
            Some(("huber", size)) => Self::Huber(size.parse().map_err(|_| bad())?),
            Some(("cauchy", size)) => Self::Cauchy(size.parse().map_err(|_| bad())?),
            _ => return Err(bad()),
        };
        loss.check().map_err(|_| bad()).map(|()| loss)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Half the squared pseudo-residual is the loss, and its derivative is the slope.
    #[test]
    fn pseudo_residuals_square_to_the_loss() {
        let d = 0.3;
        let huber = |r: f64| if r.abs() <= d { r * r / 2.0 } else { d * r.abs() - d * d / 2.0 };
        let cauchy = |r: f64| d * d / 2.0 * (r / d).powi(2).ln_1p();
        for i in -40..=40 {
            let r = f64::from(i) * 0.07 + 0.001;
            for (loss, rho) in
                [(Loss::Huber(d), huber(r)), (Loss::Cauchy(d), cauchy(r)), (Loss::Plain, r * r / 2.0)]
            {
                let (pseudo, slope) = loss.pseudo(r);
                assert!((pseudo * pseudo / 2.0 - rho).abs() < 1e-12, "{loss} {r}");
                let step = 1e-6;
                let numeric = (loss.pseudo(r + step).0 - loss.pseudo(r - step).0) / (2.0 * step);
                assert!((slope - numeric).abs() < 1e-5, "{loss} {r}: {slope} {numeric}");
                assert!(pseudo * r >= 0.0 && slope > 0.0);
            }
        }
    }
}
