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
    let last = record.val.last().map(|point| point.step);
    TrialResult {
        trial: trial.clone(),
        val_curve: record.val.iter().map(|point| (point.step, point.loss)).collect(),
        blocks: record
            .val_blocks
            .last()
            .filter(|point| Some(point.step) == last)
            .map_or_else(Vec::new, |point| blocks(point).1),
        earlier_blocks: match trial.role {
            Role::Joint => Vec::new(),
            Role::Alone | Role::Race | Role::Final => {
                record.val_blocks.iter().filter(|point| Some(point.step) != last).map(blocks).collect()
            }
        },
        train_curve: match trial.role {
            Role::Alone | Role::Joint => Vec::new(),
            Role::Race | Role::Final => record.train.iter().map(|point| (point.step, point.loss)).collect(),
        },
        kept: match trial.role {
            Role::Alone => None,
            Role::Joint | Role::Race | Role::Final => kept_earlier(keep, record),
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

#[cfg(test)]
mod tests {
    use super::*;
    use mars_calib::{ConvergenceDefinition, CurvePoint, RunSpec};
    use mars_laws::Ranks;

    /// An evaluation every ten steps up to `last` of `planned`, with blocks.
    fn record(planned: usize, last: usize, end: RunEnd) -> RunRecord {
        let spec = RunSpec::new(Ranks::new().with("llm", 4), 64, 8, planned, 1e-3);
        let mut record = RunRecord::empty(spec, end);
        for step in (0..=last).step_by(10) {
            let loss = 4.0 / (1.0 + step as f64);
            record.val.push(CurvePoint { step, loss });
            record.val_blocks.push(BlockPoint { step, losses: vec![loss as f32; 4] });
        }
        record
    }

    fn result(role: Role, keep: Keep, record: &RunRecord) -> TrialResult {
        let trial = Trial {
            stop_when_converged: true,
            ..Trial::new(role, record.spec.ranks.clone(), record.spec.samples, record.spec.steps)
        };
        let rule = ConvergenceDefinition::Registered.rule();
        trial_result(&*rule, &trial, record, keep, &BTreeMap::new())
    }

    #[test]
    fn each_loss_of_a_run_has_its_blocks_wherever_the_run_ended() {
        for (last, end) in [(60, RunEnd::Finished), (40, RunEnd::Converged), (20, RunEnd::Overfit)] {
            let record = record(60, last, end);
            for role in [Role::Alone, Role::Race, Role::Final] {
                let result = result(role, Keep::Last, &record);
                let mut blocks = result.earlier_blocks;
                blocks.push((last, result.blocks));
                let means =
                    blocks.iter().map(|(step, b)| (*step, f64::from((b.iter().sum::<f64>() / 4.0) as f32)));
                let losses = result.val_curve.iter().map(|(step, loss)| (*step, f64::from(*loss as f32)));
                assert!(means.eq(losses), "{role}: {blocks:?}");
            }
        }
    }

    #[test]
    fn a_last_loss_that_is_not_finite_has_no_blocks() {
        let mut record = record(60, 60, RunEnd::Diverged { step: 60 });
        record.val.last_mut().expect("a loss").loss = f64::NAN;
        record.val_blocks.pop();
        let result = result(Role::Race, Keep::Last, &record);
        assert!(result.blocks.is_empty());
        assert_eq!(result.earlier_blocks.len(), 6);
    }

    /// What Law-P is fitted to is the loss of the adapter that a run leaves, on few samples the best on the way.
    #[test]
    fn a_joint_run_that_over_fits_counts_with_its_best_loss() {
        let mut record = record(60, 60, RunEnd::Finished);
        let [.., best, _, last] = &mut record.val[..] else { panic!("too few losses") };
        (best.loss, last.loss) = (0.01, 0.5);
        record.val_blocks.clear();
        for role in [Role::Joint, Role::Race, Role::Final] {
            assert_eq!(result(role, Keep::Best, &record).kept_loss(), Some(0.01), "{role}");
            assert_eq!(result(role, Keep::Last, &record).kept_loss(), Some(0.5), "{role}");
        }
        assert_eq!(result(Role::Alone, Keep::Best, &record).kept_loss(), Some(0.5));
    }
}
