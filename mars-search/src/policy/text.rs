//! Policies as text, as given on a command line: parsed and printed.

use super::{FixedRanks, GuidedOptions, PolicySpec, RaceOptions, asha};
use crate::{Error, Method};
use std::{fmt, str::FromStr};

impl PolicySpec {
    /// Parses a comma-separated list of policies; `fixed:ve=8,llm=16` within it stays one policy.
    ///
    /// # Errors
    /// [`Error::PolicyName`] for the first that is not understood or for an empty list, [`Error::PolicyTwice`].
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
        let mut policies: Vec<Self> = Vec::with_capacity(names.len());
        for name in names {
            let policy: Self = name.parse()?;
            if policies.contains(&policy) {
                return Err(Error::PolicyTwice { given: name.trim().to_owned() });
            }
            policies.push(policy);
        }
        Ok(policies)
    }
}

/// The form of a setting that is a whole number.
fn whole<T: FromStr>(text: &str, what: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{what} is `{text}`, not a whole number"))
}

/// The policy of this name with this setting; `Ok(None)` when there is no such name.
fn parse(name: &str, setting: Option<&str>) -> Result<Option<PolicySpec>, String> {
    let needs = |what: &str| Err(format!("{what} missing"));
    let spec = match (name, setting) {
        ("fixed", Some(ranks)) => PolicySpec::Fixed(parse_ranks(ranks)?),
        ("fixed", None) => return needs("the ranks are"),
        ("random", Some(trials)) => PolicySpec::Random { trials: whole(trials, "the number of trials")? },
        ("random", None) => return needs("the number of trials is"),
        ("halving", None) => PolicySpec::Halving { eta: 2 },
        ("halving", Some(eta)) => PolicySpec::Halving { eta: whole(eta, "eta")? },
        ("asha", None) => PolicySpec::Asha { workers: asha::WORKERS },
        ("asha", Some(workers)) => {
            PolicySpec::Asha { workers: whole(workers, "the number of runs at a time")? }
        }
        ("surface", None) => PolicySpec::Surface { runs: None },
        ("surface", Some(runs)) => PolicySpec::Surface { runs: Some(whole(runs, "the number of runs")?) },
        ("diff-lr", Some(ratio)) => {
            PolicySpec::Method(Method::DiffLr(whole(ratio, "the ratio of learning rates")?))
        }
        _ => {
            let plain = match name {
                "grid" => PolicySpec::Grid,
                "paper" => PolicySpec::Paper,
                "guided" => PolicySpec::Guided(GuidedOptions::default()),
                "race" => PolicySpec::Race(RaceOptions::default()),
                _ => match Method::named(name) {
                    Some(method) => PolicySpec::Method(method),
                    None => return Ok(None),
                },
            };
            match setting {
                None => plain,
                Some(setting) => return Err(format!("it takes no settings, and `{setting}` is given")),
            }
        }
    };
    Ok(Some(spec))
}

impl FromStr for PolicySpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let refuse = |why: String| Error::PolicyName { given: text.to_owned(), why };
        let (name, setting) = match text.split_once(':') {
            Some((name, setting)) => (name.trim(), Some(setting.trim())),
            None => (text, None),
        };
        let spec = parse(name, setting).map_err(refuse)?;
        let spec = spec.ok_or_else(|| refuse("there is no such policy".to_owned()))?;
        match spec.check() {
            Err(Error::PolicySetting { why, .. }) => Err(refuse(why)),
            Err(error) => Err(error),
            Ok(()) => Ok(spec),
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
