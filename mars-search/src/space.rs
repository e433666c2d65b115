//! The rank choices a search may make: modules, candidate ranks, the default.

use crate::Error;
use mars_laws::Ranks;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Most rank tuples a grid may have.
pub(crate) const GRID_LIMIT: usize = 1 << 16;

/// Which modules are adapted and which ranks each may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// Module names in the order of `fixed:8x16` and of tables (`ve`, `llm`); at least one.
    pub modules: Vec<String>,
    /// The module whose convergence time the others are balanced against; `llm` in the paper.
    pub reference: String,
    /// Candidate ranks of each module, any order, each >= 1.
    pub candidates: BTreeMap<String, Vec<usize>>,
    /// Rank of every module in the safe default configuration (ours: 16); see [`default_ranks`](Self::default_ranks).
    pub default_rank: usize,
    /// Adapter parameters of each module per unit of rank, the sum of (inputs + outputs) over its
    /// adapted layers; decides between choices that are equal within noise. A module that is absent
    /// counts 1.
    #[serde(default)]
    pub parameters_per_rank: BTreeMap<String, u64>,
}

impl Space {
    /// Modules that may all take the same `ranks`, with 16 as the default rank and equal parameters per unit of rank.
    pub fn new<M: Into<String>>(
        modules: impl IntoIterator<Item = M>,
        reference: impl Into<String>,
        ranks: &[usize],
    ) -> Self {
        let modules: Vec<String> = modules.into_iter().map(Into::into).collect();
        Self {
            candidates: modules.iter().map(|module| (module.clone(), ranks.to_vec())).collect(),
            modules,
            reference: reference.into(),
            default_rank: 16,
            parameters_per_rank: BTreeMap::new(),
        }
    }

    /// Whether a search can be run on this space.
    ///
    /// # Errors
    /// [`Error::Space`] when there is no module, one is named twice, the reference is not among them,
    /// a module has no candidate, or a rank is 0.
    pub fn check(&self) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::Space { why });
        self.check_modules()?;
        if !self.modules.contains(&self.reference) {
            return refuse(format!(
                "the reference module `{}` is not one of {}",
                self.reference,
                self.modules.join(", ")
            ));
        }
        for module in &self.modules {
            let ranks = self.candidates.get(module).map_or(&[][..], Vec::as_slice);
            if ranks.is_empty() || ranks.contains(&0) {
                return refuse(format!(
                    "candidate ranks of `{module}` are {ranks:?}: one or more values >= 1 are needed"
                ));
            }
        }
        if self.default_rank == 0 {
            return refuse("the default rank is 0; it must be at least 1".to_owned());
        }
        Ok(())
    }

    /// Whether there are modules, each named once: all that fixed ranks need.
    ///
    /// # Errors
    /// [`Error::Space`] when there is no module, or one is named twice.
    pub(crate) fn check_modules(&self) -> Result<(), Error> {
        let refuse = |why: String| Err(Error::Space { why });
        if self.modules.is_empty() {
            return refuse("there is no module to adapt".to_owned());
        }
        match (1..self.modules.len()).find(|&i| self.modules[..i].contains(&self.modules[i])) {
            Some(twice) => refuse(format!("module `{}` is named twice", self.modules[twice])),
            None => Ok(()),
        }
    }

    /// Candidate ranks of `module`, rising, each once; empty for an unknown module.
    pub fn ranks_of(&self, module: &str) -> Vec<usize> {
        let mut ranks = self.candidates.get(module).cloned().unwrap_or_default();
        ranks.sort_unstable();
        ranks.dedup();
        ranks
    }

    /// Every module at its [default](Self::default_of).
    pub fn default_ranks(&self) -> Ranks {
        self.modules.iter().map(|module| (module.as_str(), self.default_of(module))).collect()
    }

    /// The default rank, or the candidate of `module` nearest to it by ratio where it is none; of two as near, the lower.
    pub fn default_of(&self, module: &str) -> usize {
        let far = |rank: &usize| (*rank as f64 / self.default_rank.max(1) as f64).ln().abs();
        let ranks = self.ranks_of(module).into_iter();
        ranks.min_by(|a, b| far(a).total_cmp(&far(b))).unwrap_or(self.default_rank)
    }

    /// Whether every module has one candidate rank: there is nothing to choose.
    pub(crate) fn is_one_choice(&self) -> bool {
        self.modules.iter().all(|module| self.ranks_of(module).len() < 2)
    }

    /// The full grid: every tuple of candidate ranks, the last module changing fastest.
    ///
    /// # Errors
    /// [`Error::Space`] when the grid has more than 65536 tuples.
    pub fn grid(&self) -> Result<Vec<Ranks>, Error> {
        let mut grid = vec![Ranks::new()];
        for module in &self.modules {
            let ranks = self.ranks_of(module);
            if grid.len().saturating_mul(ranks.len()) > GRID_LIMIT {
                return Err(Error::Space {
                    why: format!(
                        "the grid has more than {GRID_LIMIT} rank tuples; give fewer candidate ranks"
                    ),
                });
            }
            grid = grid
                .iter()
                .flat_map(|tuple| ranks.iter().map(|rank| tuple.clone().with(module.as_str(), *rank)))
                .collect();
        }
        Ok(grid)
    }

    /// Adapter parameters of a rank choice: ranks weighted by `parameters_per_rank`.
    pub fn parameters(&self, ranks: &Ranks) -> u64 {
        ranks
            .iter()
            .map(|(module, rank)| {
                let unit = self.parameters_per_rank.get(module).copied().unwrap_or(1);
                unit.saturating_mul(rank as u64)
            })
            .fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::Space;

    #[test]
    fn the_default_is_a_candidate() {
        let cases: [(&[usize], usize); 5] =
            [(&[4], 4), (&[8, 16, 32], 16), (&[8, 32], 8), (&[64, 2], 64), (&[20, 12], 20)];
        for (ranks, expected) in cases {
            let found = Space::new(["ve", "llm"], "llm", ranks).default_ranks();
            assert_eq!((found.get("ve"), found.get("llm")), (expected, expected), "{ranks:?}");
        }
    }
}
