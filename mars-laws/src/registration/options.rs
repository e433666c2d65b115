//! How curves are registered, and what is refused.

use crate::{Error, uncertainty::check_level};
use serde::{Deserialize, Serialize};

/// How to register.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RegistrationOptions {
    /// Evaluations after this time are not used; > 0; infinite by default, which is `null` in files.
    #[serde(with = "no_limit")]
    pub until: f64,
    /// Improvement of a curve below this part of the loss of the base model is not registered, in [0, 1). Default 0.02.
    pub min_improvement: f64,
    /// Least part of a curve's evaluations within the range of the others', in [0, 1]. Default 0.3.
    pub min_overlap: f64,
    /// Largest [`misfit`](super::Registration::misfit), > 0. Default 0.08.
    pub max_misfit: f64,
    /// Largest distance of a shift from the straight line over ln r, > 0: 0.3 (the default) is a factor of 1.35 in time.
    pub max_departure: f64,
    /// Redrawn curves for the intervals; 200 by default; 0 leaves them unbounded.
    pub draws: usize,
    /// Seed of the draws; 0 by default.
    pub seed: u64,
    /// Nominal coverage of the intervals, between 0 and 1 (both excluded); 0.95 by default.
    pub level: f64,
}

impl Default for RegistrationOptions {
    fn default() -> Self {
        Self {
            until: f64::INFINITY,
            min_improvement: 0.02,
            min_overlap: 0.3,
            max_misfit: 0.08,
            max_departure: 0.3,
            draws: 200,
            seed: 0,
            level: 0.95,
        }
    }
}

impl RegistrationOptions {
    /// The defaults, with draws by `seed` for the module in place `index`: balanced ranks pair the draws of two modules, so that
    /// each draws from a stream of its own.
    pub fn of_module(seed: u64, index: usize) -> Self {
        let seed = seed.wrapping_add((index as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        Self { seed, ..Self::default() }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        check_level(self.level)?;
        let options = [
            ("until", self.until, self.until > 0.0, "above 0"),
            (
                "min_improvement",
                self.min_improvement,
                (0.0..1.0).contains(&self.min_improvement),
                "0 to below 1",
            ),
            ("min_overlap", self.min_overlap, (0.0..=1.0).contains(&self.min_overlap), "0 to 1"),
            ("max_misfit", self.max_misfit, self.max_misfit > 0.0, "above 0"),
            ("max_departure", self.max_departure, self.max_departure > 0.0, "above 0"),
        ];
        match options.into_iter().find(|(_, _, good, _)| !good) {
            Some((name, value, _, allowed)) => {
                Err(Error::BadOption { name, value: value.to_string(), allowed })
            }
            None => Ok(()),
        }
    }
}

/// Infinity as `null`: JSON has none.
mod no_limit {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(limit: &f64, to: S) -> Result<S::Ok, S::Error> {
        Some(*limit).filter(|limit| limit.is_finite()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(from)?.unwrap_or(f64::INFINITY))
    }
}
