//! The definitions of convergence time by their names.

use super::{AloneVal, ConvergenceRule, TimeConstant, UpdateSize};
use crate::Error;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Which definition of convergence time is used, with its default settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConvergenceDefinition {
    /// [`AloneVal`] of the runs that train to their convergence, and from them by registration (`mars_laws::register`) the times of
    /// those that end after their first steps. The default.
    #[default]
    Registered,
    /// [`AloneVal`]: most of the improvement in validation loss of a run with one module adapted.
    AloneVal,
    /// [`TimeConstant`]: the time constant of an exponential fitted to the validation loss.
    TimeConstant,
    /// [`UpdateSize`]: the step at which the adapter's updates have become small.
    UpdateSize,
}

impl ConvergenceDefinition {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Registered, Self::AloneVal, Self::TimeConstant, Self::UpdateSize];

    /// The name in configurations: `registered`, `alone-val`, `time-constant` or `update-size`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Registered => "registered",
            Self::AloneVal => "alone-val",
            Self::TimeConstant => "time-constant",
            Self::UpdateSize => "update-size",
        }
    }

    /// The rule with its default settings, for one run by itself.
    pub fn rule(self) -> Box<dyn ConvergenceRule> {
        match self {
            Self::Registered | Self::AloneVal => Box::new(AloneVal::default()),
            Self::TimeConstant => Box::new(TimeConstant::default()),
            Self::UpdateSize => Box::new(UpdateSize::default()),
        }
    }
}

impl fmt::Display for ConvergenceDefinition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ConvergenceDefinition {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|one| one.name() == name).ok_or_else(|| Error::Unknown {
            what: "definition of convergence",
            name: name.into(),
            known: Self::ALL.map(Self::name).join(", "),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ConvergenceDefinition;

    #[test]
    fn names_are_the_same_in_texts_and_in_files() {
        for one in ConvergenceDefinition::ALL {
            assert_eq!(one.to_string().parse::<ConvergenceDefinition>().ok(), Some(one));
            assert_eq!(serde_json::to_value(one).ok(), Some(one.name().into()));
        }
        let error = "alone".parse::<ConvergenceDefinition>().map_err(|error| error.to_string());
        let expected = "there is no definition of convergence `alone`; there are registered, alone-val, time-constant, update-size";
        assert_eq!(error, Err(expected.to_owned()));
    }
}
