//! Names of policies, as given on a command line: parsed, printed, and made into policies.

use super::{
    FixedRanks, GuidedOptions, RaceOptions, asha, guided,
    measured::{self, ETA},
    paper, race, single, surface,
};
use crate::{Budget, Error, Method, Policy, Space};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

const ACCEPTED: &str = "`fixed:8x16` (ranks in the order of the modules, ve x llm), `fixed:ve=8,llm=16`, \
    `grid`, `random:TRIALS`, `halving` or `halving:ETA` (ETA 2 to 4), `asha` or `asha:WORKERS`, `surface` or `surface:RUNS`, `paper`, `guided`, `race`, \
    `adalora`, `geolora`, `hydra-style`, `eva`, `diff-lr` or `diff-lr:RATIO`";

/// A policy with its settings, not yet started.
///
/// Text and value convert both ways ([`FromStr`], [`fmt::Display`]; serialised as text).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
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
    /// A race inside the final run on a budget for the whole search (the default, ours). As text always `guided`: its
    /// settings come from the configuration.
    Guided(GuidedOptions),
    /// Balanced tuples and the default pair raced inside one final run. As text always `race`: its
    /// settings come from the configuration.
    Race(RaceOptions),
    /// One fine-tune at the default ranks by another method than plain LoRA.
    Method(Method),
}

impl PolicySpec {
    /// Starts the policy.
    ///
    /// # Errors
    /// [`Error::Space`] or [`Error::Budget`] when it cannot run on these; [`Error::PolicyName`] when a
    /// setting is out of its range.
    pub fn build(&self, space: &Space, budget: &Budget) -> Result<Box<dyn Policy>, Error> {
        space.check()?;
        budget.check()?;
        // A value made in code obeys the rules of the text.
        let _: Self = self.to_string().parse()?;
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

    /// Parses a comma-separated list of policies; `fixed:ve=8,llm=16` within it stays one policy.
    ///
    /// # Errors
    /// [`Error::PolicyName`] for the first that is not understood, or for an empty list.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, Error> {
        let mut names: Vec<String> = Vec::new();
        for part in text.split(',') {
            match names.last_mut() {
                // `llm=16` on its own carries on the named ranks before it.
                Some(before) if part.contains('=') && !part.contains(':') && before.contains('=') => {
                    *before += &format!(",{part}");
                }
                _ => names.push(part.to_owned()),
            }
        }
        names.iter().map(|name| name.parse()).collect()
    }
}

impl FromStr for PolicySpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let refuse =
            |why: &str| Error::PolicyName { given: text.to_owned(), why: why.to_owned(), accepted: ACCEPTED };
        let (name, setting) = match text.split_once(':') {
            Some((name, setting)) => (name.trim(), Some(setting.trim())),
            None => (text, None),
        };
        match (name, setting) {
            ("fixed", Some(ranks)) => Ok(Self::Fixed(parse_ranks(ranks).map_err(|why| refuse(&why))?)),
            ("fixed", None) => Err(refuse("the ranks are missing")),
            ("grid", None) => Ok(Self::Grid),
            ("halving", None) => Ok(Self::Halving { eta: 2 }),
            ("halving", Some(eta)) => match eta.parse() {
                Ok(eta) if ETA.contains(&eta) => Ok(Self::Halving { eta }),
                _ => Err(refuse("eta is not 2, 3 or 4")),
            },
            ("random", Some(trials)) => match trials.parse() {
                Ok(trials) if trials > 0 => Ok(Self::Random { trials }),
                _ => Err(refuse("the number of trials is not a whole number >= 1")),
            },
            ("random", None) => Err(refuse("the number of trials is missing")),
            ("asha", None) => Ok(Self::Asha { workers: asha::WORKERS }),
            ("asha", Some(workers)) => match workers.parse() {
                Ok(workers) if workers > 0 => Ok(Self::Asha { workers }),
                _ => Err(refuse("the number of runs at a time is not a whole number >= 1")),
            },
            ("surface", None) => Ok(Self::Surface { runs: None }),
            ("surface", Some(runs)) => match runs.parse() {
                Ok(runs) if runs > 0 => Ok(Self::Surface { runs: Some(runs) }),
                _ => Err(refuse("the number of runs is not a whole number >= 1")),
            },
            ("paper", None) => Ok(Self::Paper),
            ("guided", None) => Ok(Self::Guided(GuidedOptions::default())),
            ("race", None) => Ok(Self::Race(RaceOptions::default())),
            ("adalora", None) => Ok(Self::Method(Method::AdaLora)),
            ("geolora", None) => Ok(Self::Method(Method::GeoLora)),
            ("hydra-style", None) => Ok(Self::Method(Method::HydraStyle)),
            ("eva", None) => Ok(Self::Method(Method::Eva)),
            ("diff-lr", None) => Ok(Self::Method(Method::DiffLr(Method::RATIO))),
            ("diff-lr", Some(ratio)) => match ratio.parse() {
                Ok(ratio) if ratio > 0 => Ok(Self::Method(Method::DiffLr(ratio))),
                _ => Err(refuse("the ratio of learning rates is not a whole number >= 1")),
            },
            ("grid" | "paper" | "guided" | "race" | "adalora" | "geolora" | "hydra-style", Some(_)) => {
                Err(refuse("it takes no settings"))
            }
            _ => Err(refuse("there is no such policy")),
        }
    }
}

/// `8x16`, `8` or `ve=8,llm=16`.
fn parse_ranks(text: &str) -> Result<FixedRanks, String> {
    let rank = |text: &str| text.trim().parse::<usize>().map_err(|_| format!("`{text}` is not a rank"));
    if !text.contains('=') {
        return text.split('x').map(rank).collect::<Result<_, _>>().map(FixedRanks::Positional);
    }
    let mut pairs: Vec<(&str, usize)> = Vec::new();
    for part in text.split(',') {
        let (module, value) = part.split_once('=').ok_or_else(|| format!("`{part}` is not module=rank"))?;
        let module = module.trim();
        if module.is_empty() || pairs.iter().any(|(other, _)| *other == module) {
            return Err(format!("module `{module}` is empty or named twice"));
        }
        pairs.push((module, rank(value)?));
    }
    if pairs.iter().all(|(_, rank)| *rank == 0) {
        return Err("ranks of 0 adapt no module".to_owned());
    }
    Ok(FixedRanks::Named(pairs.into_iter().collect()))
}

impl fmt::Display for PolicySpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(FixedRanks::Positional(ranks)) => {
                let ranks: Vec<_> = ranks.iter().map(ToString::to_string).collect();
                write!(f, "fixed:{}", ranks.join("x"))
            }
            Self::Fixed(FixedRanks::Named(ranks)) => write!(f, "fixed:{ranks}"),
            Self::Grid => f.write_str("grid"),
            Self::Random { trials } => write!(f, "random:{trials}"),
            Self::Halving { eta: 2 } => f.write_str("halving"),
            Self::Halving { eta } => write!(f, "halving:{eta}"),
            Self::Paper => f.write_str("paper"),
            Self::Asha { workers: asha::WORKERS } => f.write_str("asha"),
            Self::Asha { workers } => write!(f, "asha:{workers}"),
            Self::Surface { runs: None } => f.write_str("surface"),
            Self::Surface { runs: Some(runs) } => write!(f, "surface:{runs}"),
            Self::Guided(_) => f.write_str("guided"),
            Self::Race(_) => f.write_str("race"),
            Self::Method(method) => write!(f, "{method}"),
        }
    }
}

impl TryFrom<String> for PolicySpec {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<PolicySpec> for String {
    fn from(spec: PolicySpec) -> Self {
        spec.to_string()
    }
}
