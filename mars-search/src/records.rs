//! The trials of a policy and their results, by trial id.

use crate::{Budget, Error, Method, Role, Trial, TrialResult};
use mars_laws::Ranks;
use std::collections::BTreeMap;

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

    /// Whether `trial` is this draft; what it continues is no part of what a run is.
    fn matches(&self, trial: &Trial) -> bool {
        self.role == trial.role
            && self.ranks == trial.ranks
            && self.samples == trial.samples
            && self.seed == trial.seed
            && self.steps == trial.steps
            && self.horizon == trial.horizon
            && self.evaluate_from == trial.evaluate_from
            && self.stop_when_converged == trial.stop_when_converged
            && self.method == trial.method
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

    /// The id of a draft that was asked for.
    pub(crate) fn id_of(&self, draft: &Draft) -> Option<u32> {
        self.asked.iter().find(|trial| draft.matches(trial)).map(|trial| trial.id)
    }

    /// The result of a draft that was asked for, once there is one.
    pub(crate) fn result_of(&self, draft: &Draft) -> Option<&TrialResult> {
        self.told.values().find(|result| draft.matches(&result.trial))
    }

    /// Asked trials without a result.
    pub(crate) fn open(&self) -> Vec<Trial> {
        self.asked.iter().filter(|trial| !self.told.contains_key(&trial.id)).cloned().collect()
    }

    /// Results by trial id.
    pub(crate) fn results(&self) -> impl Iterator<Item = &TrialResult> {
        self.told.values()
    }

    /// Numbers the drafts and waits for their results.
    pub(crate) fn post(&mut self, drafts: Vec<Draft>) {
        for draft in drafts {
            let id = u32::try_from(self.asked.len()).unwrap_or(u32::MAX);
            self.asked.push(draft.numbered(id));
        }
    }

    /// Takes results: all of them, or none when one does not belong.
    ///
    /// # Errors
    /// [`Error::UnknownTrial`], [`Error::TrialMismatch`] and [`Error::ToldTwice`].
    pub(crate) fn take(&mut self, results: &[TrialResult]) -> Result<(), Error> {
        for (i, result) in results.iter().enumerate() {
            let id = result.trial.id;
            let asked = self.asked.get(id as usize).ok_or(Error::UnknownTrial { id })?;
            if *asked != result.trial {
                return Err(Error::TrialMismatch { id });
            }
            if self.told.contains_key(&id) || results[..i].iter().any(|other| other.trial.id == id) {
                return Err(Error::ToldTwice { id });
            }
        }
        self.told.extend(results.iter().map(|result| (result.trial.id, result.clone())));
        Ok(())
    }
}
