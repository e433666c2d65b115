//! What the record of a run means to a policy.

use mars_calib::{BlockPoint, Convergence, ConvergenceRule, Keep, RunEnd, RunRecord};
use mars_search::{Cost, Role, Trial, TrialEnd, TrialResult};
use std::collections::BTreeMap;

/// The result of `trial`, which was done as the run of `record`.
///
/// A trial that continues one of `earlier` is charged for its own steps only; with a trainer that begins again at step 0,
/// `earlier` is empty, and it is charged for all. `keep` says which adapter it leaves.
pub(crate) fn trial_result(
    rule: &dyn ConvergenceRule,
    trial: &Trial,
    record: &RunRecord,
    keep: Keep,
    earlier: &BTreeMap<u32, RunRecord>,
) -> TrialResult {
    let before = trial.continues.and_then(|id| earlier.get(&id));
    let (convergence, censored) =
        if trial.role == Role::Alone { convergence_time(rule, record) } else { (None, None) };
    let extra = |of: fn(&RunRecord) -> f64| (of(record) - before.map_or(0.0, of)).max(0.0);
    TrialResult {
        trial: trial.clone(),
        val_curve: record.val.iter().map(|point| (point.step, point.loss)).collect(),
        blocks: record
            .val_blocks
            .last()
            .filter(|last| last.step == trial.steps)
            .map_or_else(Vec::new, |last| blocks(last).1),
        earlier_blocks: match trial.role {
            Role::Joint => Vec::new(),
            Role::Alone | Role::Race | Role::Final => {
                record.val_blocks.iter().filter(|point| point.step < trial.steps).map(blocks).collect()
            }
        },
        train_curve: match trial.role {
            Role::Alone | Role::Joint => Vec::new(),
            Role::Race | Role::Final => record.train.iter().map(|point| (point.step, point.loss)).collect(),
        },
        kept: match trial.role {
            Role::Alone | Role::Joint => None,
            Role::Race | Role::Final => kept_earlier(keep, record),
        },
        convergence,
        censored,
        end: trial_end(&record.end),
        restarted: trial.continues.is_some() && before.is_none(),
        cost: Cost {
            flops: extra(|record| record.flops),
            eval_flops: extra(|record| record.eval_flops),
            wall_s: extra(|record| record.wall_s),
        },
    }
}

/// The step whose adapter is kept of a run, where it is before its end. Of a run by a method only the end is kept.
pub(crate) fn kept_earlier(keep: Keep, record: &RunRecord) -> Option<usize> {
    let last = record.val.last()?.step;
    keep.step(record).filter(|step| *step < last && record.spec.method.is_none())
}

/// The blocks of a validation loss, with its step.
fn blocks(point: &BlockPoint) -> (usize, Vec<f64>) {
    (point.step, point.losses.iter().map(|loss| f64::from(*loss)).collect())
}

/// The convergence time of a run in steps, or why it has none.
pub(crate) fn convergence_time(
    rule: &dyn ConvergenceRule,
    record: &RunRecord,
) -> (Option<f64>, Option<String>) {
    match rule.of(record) {
        Convergence::Reached { step } => (Some(step), None),
        Convergence::Censored { why } => (None, Some(why.to_string())),
    }
}

/// The end of a run as a policy sees it.
pub(crate) fn trial_end(end: &RunEnd) -> TrialEnd {
    match end {
        RunEnd::Finished | RunEnd::Converged | RunEnd::Overfit => TrialEnd::Finished,
        RunEnd::Diverged { step } => TrialEnd::Diverged { step: *step },
        RunEnd::Failed { why } => TrialEnd::Failed { why: why.clone() },
        RunEnd::Interrupted => TrialEnd::Failed { why: "interrupted".into() },
    }
}
