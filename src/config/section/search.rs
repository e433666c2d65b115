//! Section `[search]`.

use crate::{
    Error,
    config::{chosen, key},
};
use documented::DocumentedFields;
use mars_laws::BalanceOptions;
use mars_search::{GuidedOptions, PolicySpec, RaceOptions};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Which ranks are possible, and how they are chosen.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, DocumentedFields)]
#[serde(default, deny_unknown_fields)]
pub struct SearchSection {
    /// guided and race (whose options are the settings of this section), halving, asha, surface, paper, grid, random:N, fixed:8x16, or a method to compare with: adalora,
    /// geolora, hydra-style, eva, diff-lr.
    #[serde(with = "chosen::spelled")]
    pub policy: PolicySpec,
    /// Reference module; the convergence times of the others are balanced against it.
    pub reference: String,
    /// Candidate ranks of every module.
    pub ranks: Vec<usize>,
    /// Candidate ranks of single modules, as in ve = [4, 8].
    pub candidates: BTreeMap<String, Vec<usize>>,
    /// Rank of every module in the default configuration.
    pub default_rank: usize,
    /// Cost limit of a guided search in fine-tunes, at least 1. It calibrates only if what remains beside the final run pays for
    /// calibration and race; with another rule than registered, only if half of it pays for the calibration.
    #[serde(alias = "fine_tunes")]
    pub budget: f64,
    /// Probability that a guided race drops, on paired evidence, the choice that is best at that step.
    pub error_rate: f64,
    /// Balance t_module = kappa * t_reference of convergence times. 0: 1, as in the paper. About 4 is the ratio at the best ranks of
    /// recorded grids (3.3 to 5.2), but searches with it were no better on recorded tasks.
    #[serde(with = "chosen::number")]
    pub kappa: Option<f64>,
    /// Of eta candidates one is kept at each cut of policy race.
    pub eta: usize,
    /// Relative differences of validation perplexity below this count as noise: the choice with fewer parameters wins.
    pub tolerance: f64,
    /// Smallest R^2 of log convergence times with which a fitted law is used.
    pub min_r2_log: f64,
    /// Widest interval of a balanced rank, in octaves, with which it is used.
    pub max_octaves: f64,
    /// Level of that interval.
    pub level: f64,
}

impl Default for SearchSection {
    fn default() -> Self {
        let guided = GuidedOptions::default();
        let balance = BalanceOptions::default();
        Self {
            policy: PolicySpec::Guided(guided.clone()),
            reference: "llm".to_owned(),
            ranks: vec![4, 8, 16, 32],
            candidates: BTreeMap::new(),
            default_rank: 16,
            budget: 1.39,
            error_rate: guided.error_rate,
            kappa: None,
            eta: 2,
            tolerance: guided.tolerance,
            min_r2_log: balance.min_r2_log,
            max_octaves: balance.max_octaves,
            level: balance.level,
        }
    }
}

/// Ratio of convergence times, where it is not set.
const KAPPA: f64 = 1.0;

impl SearchSection {
    /// Settings of this section that say how policies work; the others say which ranks there are, and the policy.
    pub const POLICY_OPTIONS: [&str; 8] = [
        "search.budget",
        "search.error_rate",
        "search.kappa",
        "search.eta",
        "search.tolerance",
        "search.min_r2_log",
        "search.max_octaves",
        "search.level",
    ];

    /// Whether `key` is one of [`POLICY_OPTIONS`](Self::POLICY_OPTIONS), or what it was called before.
    pub fn is_policy_option(key: &str) -> bool {
        Self::POLICY_OPTIONS.contains(&key::current(key))
    }

    /// How ranks are balanced in searches.
    pub fn balance(&self) -> BalanceOptions {
        BalanceOptions {
            kappa: self.kappa.unwrap_or(KAPPA),
            candidates: self.ranks.clone(),
            default_rank: self.default_rank,
            min_r2_log: self.min_r2_log,
            max_octaves: self.max_octaves,
            level: self.level,
        }
    }

    /// `policy` with the options that this section sets.
    pub fn with_options(&self, policy: &PolicySpec) -> PolicySpec {
        match policy {
            PolicySpec::Guided(_) => PolicySpec::Guided(GuidedOptions {
                fine_tunes: self.budget,
                error_rate: self.error_rate,
                tolerance: self.tolerance,
                balance: self.balance(),
            }),
            PolicySpec::Race(_) => PolicySpec::Race(RaceOptions {
                eta: self.eta,
                tolerance: self.tolerance,
                kappa: self.kappa.unwrap_or(KAPPA),
                min_r2_log: self.min_r2_log,
                max_octaves: self.max_octaves,
                level: self.level,
            }),
            other => other.clone(),
        }
    }

    /// Checks what the policy uses: fixed ranks need no candidates, methods none but the default rank, and the settings of
    /// races count in races.
    pub(super) fn check(&self, modules: &[String]) -> Result<(), Error> {
        let policy = &self.policy;
        if let PolicySpec::Fixed(_) = policy {
            return Ok(());
        }
        if !modules.contains(&self.reference) {
            let reference = &self.reference;
            return Err(Error::usage(format!(
                "search.reference is \"{reference}\", which is not in lora.modules {modules:?}"
            )));
        }
        if modules.iter().any(|module| !self.candidates.contains_key(module)) {
            check_ranks("search.ranks", &self.ranks)?;
        }
        for (module, ranks) in &self.candidates {
            check_ranks(&format!("search.candidates.{module}"), ranks)?;
        }
        if self.default_rank == 0 && !policy.is_within_grid() {
            return Err(Error::usage("search.default_rank is 0; it must be at least 1"));
        }
        let guided = matches!(policy, PolicySpec::Guided(_));
        let race = matches!(policy, PolicySpec::Race(_));
        let share = |value: f64| value > 0.0 && value < 1.0;
        let rules = [
            (guided, "budget", self.budget, self.budget >= 1.0, "at least 1, the final run alone"),
            (guided, "error_rate", self.error_rate, share(self.error_rate), "between 0 and 1"),
            (guided || race, "tolerance", self.tolerance, self.tolerance >= 0.0, "at least 0"),
            (guided || race, "kappa", self.balance().kappa, self.balance().kappa > 0.0, "greater than 0"),
            (guided || race, "level", self.level, share(self.level), "between 0 and 1"),
            (race, "eta", self.eta as f64, (2..=4).contains(&self.eta), "2, 3 or 4"),
        ];
        match rules.into_iter().find(|(used, _, _, holds, _)| *used && !holds) {
            Some((_, key, value, _, rule)) => {
                Err(Error::usage(format!("search.{key} is {value}; it must be {rule}")))
            }
            None => Ok(()),
        }
    }
}

/// Refuses an empty list of ranks, and rank 0.
pub(super) fn check_ranks(key: &str, ranks: &[usize]) -> Result<(), Error> {
    if ranks.is_empty() || ranks.contains(&0) {
        return Err(Error::usage(format!("{key} is {ranks:?}; it must hold ranks of 1 or more")));
    }
    Ok(())
}
