//! The trials of a policy and their results, by trial id.

use crate::{Budget, Error, Method, Role, Trial, TrialResult};
use mars_laws::Ranks;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A value, or the runs without whose results it cannot be known.
#[derive(Debug)]
pub(crate) enum Progress<T> {
    /// All results that it takes are there.
    Done(T),
    /// These runs have no result yet.
    Missing(Vec<Draft>),
}

/// A trial that has no id yet.
/// Its fields are those of [`Trial`].
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) role: Role,
    pub(crate) ranks: Ranks,
    pub(crate) samples: usize,
    pub(crate) seed: u64,
    pub(crate) steps: usize,
    pub(crate) horizon: usize,
    pub(crate) evaluate_from: usize,
    pub(crate) stop_when_converged: bool,
    pub(crate) continues: Option<u32>,
    pub(crate) method: Option<Method>,
}

impl Draft {
    /// A run of `ranks` on all the data up to `steps`, under the final run's schedule.
    pub(crate) fn full_data(role: Role, ranks: &Ranks, budget: &Budget, steps: usize) -> Self {
        Self {
            role,
            ranks: ranks.clone(),
            samples: budget.samples,
            seed: budget.seed,
            steps,
            horizon: budget.steps,
            evaluate_from: 0,
            stop_when_converged: false,
            continues: None,
            method: None,
        }
    }

    /// What the run is: its number and what it continues are no part of that.
    fn identity(&self) -> Trial {
        Self { continues: None, ..self.clone() }.numbered(0)
    }

    fn numbered(self, id: u32) -> Trial {
        Trial {
            id,
            role: self.role,
            ranks: self.ranks,
            samples: self.samples,
            seed: self.seed,
            steps: self.steps,
            horizon: self.horizon,
            evaluate_from: self.evaluate_from,
            stop_when_converged: self.stop_when_converged,
            continues: self.continues,
            method: self.method,
        }
    }
}

/// Asked trials and their results. Looking results up by content lets a policy be written as a pure
/// function of what is known: the order in which results come in cannot matter.
#[derive(Debug, Default)]
pub(crate) struct Records {
    asked: Vec<Trial>,
    told: BTreeMap<u32, TrialResult>,
    /// Ids of asked trials by what the run is, rising.
    ids: HashMap<Trial, Vec<u32>>,
    /// Ids of asked trials without a result.
    open: BTreeSet<u32>,
}

impl Records {
    /// The results of `drafts` in their order, or the drafts that have none.
    pub(crate) fn all(&self, drafts: &[Draft]) -> Progress<Vec<&TrialResult>> {
        let found: Vec<_> = drafts.iter().map(|draft| self.result_of(draft)).collect();
        let missing: Vec<_> = drafts
            .iter()
            .zip(&found)
            .filter(|(_, result)| result.is_none())
            .map(|(draft, _)| draft.clone())
            .collect();
        if missing.is_empty() {
            Progress::Done(found.into_iter().flatten().collect())
        } else {
            Progress::Missing(missing)
        }
    }

    fn ids_of(&self, draft: &Draft) -> &[u32] {
        self.ids.get(&draft.identity()).map_or(&[], Vec::as_slice)
    }

    /// The id of a draft that was asked for.
    pub(crate) fn id_of(&self, draft: &Draft) -> Option<u32> {
        self.ids_of(draft).first().copied()
    }

    /// The result of a draft that was asked for, once there is one.
    pub(crate) fn result_of(&self, draft: &Draft) -> Option<&TrialResult> {
        self.ids_of(draft).iter().find_map(|id| self.result(*id))
    }

    /// The result of an asked trial, once there is one.
    pub(crate) fn result(&self, id: u32) -> Option<&TrialResult> {
        self.told.get(&id)
    }

    /// Asked trials without a result.
    pub(crate) fn open(&self) -> Vec<Trial> {
        self.open.iter().filter_map(|id| self.asked.get(*id as usize)).cloned().collect()
    }

    /// Whether an asked trial has no result.
    pub(crate) fn is_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Results by trial id.
    pub(crate) fn results(&self) -> impl Iterator<Item = &TrialResult> {
        self.told.values()
    }

    /// Numbers the drafts and waits for their results.
    pub(crate) fn post(&mut self, drafts: Vec<Draft>) {
        for draft in drafts {
            let id = u32::try_from(self.asked.len()).unwrap_or(u32::MAX);
            self.ids.entry(draft.identity()).or_default().push(id);
            self.open.insert(id);
            self.asked.push(draft.numbered(id));
        }
    }

    /// Takes results: all of them, or none when one does not belong.
    ///
    /// # Errors
    /// [`Error::UnknownTrial`], [`Error::TrialMismatch`] and [`Error::ToldTwice`].
    pub(crate) fn take(&mut self, results: &[TrialResult]) -> Result<(), Error> {
        let mut taken = BTreeSet::new();
        for result in results {
            let id = result.trial.id;
            let asked = self.asked.get(id as usize).ok_or(Error::UnknownTrial { id })?;
            if *asked != result.trial {
                return Err(Error::TrialMismatch { id });
            }
            if self.told.contains_key(&id) || !taken.insert(id) {
                return Err(Error::ToldTwice { id });
            }
        }
        for id in &taken {
            self.open.remove(id);
        }
        self.told.extend(results.iter().map(|result| (result.trial.id, result.clone())));
        Ok(())
    }
}
