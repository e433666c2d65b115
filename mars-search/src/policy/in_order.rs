//! Choices in order of preference: the first whose full run neither diverges nor fails is the result.

use crate::{
    Budget, Candidate, Error, FailedTrial, Role,
    records::{Draft, Progress, Records},
};

/// The first choice that could be trained.
pub(crate) struct Survivor {
    /// Its place among the candidates.
    pub(crate) at: usize,
    /// Its trial.
    pub(crate) trial: u32,
    /// Those before it, which could not be trained.
    pub(crate) failed: Vec<FailedTrial>,
}

/// Trains `candidates` in full, one after the other, until one has a usable loss. A candidate whose trial so far is the
/// beginning of its full run is carried on; one whose beginning diverged or failed is passed over. Writes the outcome
/// into each.
///
/// # Errors
/// [`Error::AllFailed`] when none does.
pub(crate) fn in_order(
    candidates: &mut [Candidate],
    budget: &Budget,
    records: &Records,
) -> Result<Progress<Survivor>, Error> {
    let mut failed = Vec::new();
    for (at, choice) in candidates.iter_mut().enumerate() {
        if let (Some(trial), None) = (choice.trial, choice.last_loss) {
            let why = choice.note.clone().unwrap_or_default();
            failed.push(FailedTrial { trial, ranks: choice.ranks.clone(), why });
            continue;
        }
        let begun = choice.trial.filter(|_| choice.last_loss.is_some());
        let draft = Draft {
            continues: begun,
            ..Draft::full_data(
                if begun.is_some() { Role::Race } else { Role::Final },
                &choice.ranks,
                budget,
                budget.steps,
            )
        };
        let result = match records.all(&[draft]) {
            Progress::Done(results) => results[0],
            Progress::Missing(missing) => return Ok(Progress::Missing(missing)),
        };
        (choice.trial, choice.last_loss) = (Some(result.trial.id), result.kept_loss());
        let Some(why) = result.fault() else {
            choice.dropped_at = None;
            return Ok(Progress::Done(Survivor { at, trial: result.trial.id, failed }));
        };
        choice.dropped_at = Some(result.trial.steps);
        choice.add_note(why.clone());
        failed.push(FailedTrial { trial: result.trial.id, ranks: choice.ranks.clone(), why });
    }
    Err(Error::AllFailed { failed })
}
