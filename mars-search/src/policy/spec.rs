//! Policies with their settings: checked, and made into policies.

use super::{
    FixedRanks, GuidedOptions, RaceOptions, asha, guided,
    measured::{self, ETA},
    paper, race, single, surface,
};
use crate::{Budget, Error, Method, Policy, Space};

/// A policy with its settings, not yet started.
///
/// As text (`halving:3`, [`POLICY_FORMS`](crate::POLICY_FORMS)) it is parsed and printed, without the options of
/// `guided` and `race`. Serialised it is a table that has all of them, tagged by the policy's name:
/// `{policy = "guided", fine_tunes = 1.39, error_rate = 0.05, ...}`. Both are read; options that are not given have
/// their defaults.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum PolicySpec {
    /// One fine-tune at given ranks.
    Fixed(FixedRanks),
    /// The full grid at the full budget.
    Grid,
    /// Random tuples of the grid at the full budget.
    Random {
        /// How many, at least 1.
        trials: usize,
    },
    /// Successive halving over the grid.
    Halving {
        /// One candidate in `eta` is kept at each rung; 2 to 4, default 2.
        eta: usize,
    },
    /// Asynchronous successive halving over the grid.
    Asha {
        /// Runs at a time, at least 1; default 4.
        workers: usize,
    },
    /// The published rule.
    Paper,
    /// A quadratic surface through short runs, and the final run at its lowest point.
    Surface {
        /// How many short runs, at least one more than the surface has parameters; `None`: just that, 7 for two
        /// modules.
        runs: Option<usize>,
    },
    /// A race inside the final run on a budget for the whole search (the default, ours).
    Guided(GuidedOptions),
    /// Balanced tuples and the default ranks raced inside one final run.
    Race(RaceOptions),
    /// One fine-tune at the default ranks by another method than plain LoRA.
    Method(Method),
}

impl PolicySpec {
    /// Starts the policy.
    ///
    /// # Errors
    /// [`Error::Space`] or [`Error::Budget`] when it cannot run on these; [`Error::PolicySetting`] when a
    /// setting is out of its range.
    pub fn build(&self, space: &Space, budget: &Budget) -> Result<Box<dyn Policy>, Error> {
        match self {
            // Candidates, default and reference are nothing to fixed ranks.
            Self::Fixed(_) => space.check_modules()?,
            _ => space.check()?,
        }
        budget.check()?;
        self.check()?;
        let name = self.to_string();
        Ok(match self {
            Self::Fixed(ranks) => Box::new(measured::fixed(name, space, budget, ranks)?),
            Self::Grid => Box::new(measured::grid(name, space, budget)?),
            Self::Random { trials } => Box::new(measured::random(name, space, budget, *trials)?),
            Self::Halving { eta } => Box::new(measured::halving(name, space, budget, *eta)?),
            Self::Asha { workers } => Box::new(asha::start(name, space, budget, *workers)?),
            Self::Paper => Box::new(paper::start(name, space, budget)?),
            Self::Surface { runs } => Box::new(surface::start(name, space, budget, *runs)?),
            Self::Guided(options) => Box::new(guided::start(name, space, budget, options)?),
            Self::Race(options) => Box::new(race::start(name, space, budget, options)?),
            Self::Method(method) => Box::new(single::start(space, budget, *method)?),
        })
    }

    /// Whether it chooses among the tuples of the grid alone, so that the default ranks are nothing to it.
    pub fn is_within_grid(&self) -> bool {
        matches!(self, Self::Grid | Self::Random { .. } | Self::Halving { .. } | Self::Asha { .. })
    }

    /// Whether it asks for further trials while others are trained, so that none is known to be the last.
    pub fn is_asynchronous(&self) -> bool {
        matches!(self, Self::Asha { .. })
    }

    /// Whether the settings are within their ranges.
    ///
    /// # Errors
    /// [`Error::PolicySetting`] with the first that is not.
    pub fn check(&self) -> Result<(), Error> {
        let why = match self {
            Self::Fixed(ranks) if ranks.adapts_nothing() => "ranks of 0 adapt no module".to_owned(),
            Self::Random { trials: 0 } => "the number of trials is 0; it must be >= 1".to_owned(),
            Self::Halving { eta } if !ETA.contains(eta) => format!("eta is {eta}, not 2, 3 or 4"),
            Self::Asha { workers: 0 } => "the number of runs at a time is 0; it must be >= 1".to_owned(),
            Self::Surface { runs: Some(0) } => "the number of runs is 0; it must be >= 1".to_owned(),
            Self::Method(Method::DiffLr(0)) => "the ratio of learning rates is 0; it must be >= 1".to_owned(),
            Self::Guided(options) => return options.check(),
            Self::Race(options) => return options.check(),
            _ => return Ok(()),
        };
        Err(Error::PolicySetting { policy: self.to_string(), why })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::PolicySpec;
    use crate::{Method, POLICY_FORMS};
    use std::collections::BTreeSet;

    /// A number for each kind of policy; a new one has to be added here, and then to the forms.
    fn kind(spec: &PolicySpec) -> usize {
        match spec {
            PolicySpec::Fixed(_) => 0,
            PolicySpec::Grid => 1,
            PolicySpec::Random { .. } => 2,
            PolicySpec::Halving { .. } => 3,
            PolicySpec::Asha { .. } => 4,
            PolicySpec::Paper => 5,
            PolicySpec::Surface { .. } => 6,
            PolicySpec::Guided(_) => 7,
            PolicySpec::Race(_) => 8,
            PolicySpec::Method(Method::AdaLora) => 9,
            PolicySpec::Method(Method::GeoLora) => 10,
            PolicySpec::Method(Method::HydraStyle) => 11,
            PolicySpec::Method(Method::Eva) => 12,
            PolicySpec::Method(Method::DiffLr(_)) => 13,
        }
    }

    #[test]
    fn every_policy_has_a_form_and_every_form_is_a_policy() {
        let kinds: BTreeSet<usize> = POLICY_FORMS
            .iter()
            .map(|(form, meaning)| {
                assert!(!meaning.is_empty() && !meaning.ends_with('.'), "{form}: {meaning}");
                let (name, setting) = form.split_once(':').unwrap_or((form, ""));
                let capitals = !setting.is_empty() && setting.chars().all(|c| c.is_ascii_uppercase());
                let text = if capitals { format!("{name}:3") } else { (*form).to_owned() };
                kind(&text.parse().unwrap())
            })
            .collect();
        assert_eq!(kinds, (0..14).collect());
    }
}
