//! How far the curve of a run reaches: from its first step, to its last one, to a certain end before that, or to neither.

use super::Curves;
use crate::{CurvePoint, RunEnd, RunSpec, convergence::has_converged};
use std::path::Path;

/// What is wrong with a run in the directory `out`, as far as its curve in `place` shows it: that it is not evaluated where it must
/// be (at all, and at step 0 where one of `several` modules is trained alone, whose convergence is timed from the loss of the base
/// model on), or that it is trained past its end.
pub(super) fn fault(
    spec: &RunSpec,
    several: bool,
    curves: &Curves,
    (place, out): (&Path, &Path),
) -> Option<String> {
    not_evaluated(spec, several, curves, (place, out)).or_else(|| past_end(spec, curves, out))
}

fn not_evaluated(
    spec: &RunSpec,
    several: bool,
    curves: &Curves,
    (place, out): (&Path, &Path),
) -> Option<String> {
    let (place, out) = (place.display(), out.display());
    let timed = several && spec.ranks.len() == 1 && spec.continues.is_none();
    match curves.val.first() {
        _ if curves.first_bad_step().is_some() => None,
        None => Some(format!(
            "no validation loss in {place}; switch evaluation on (eval_strategy steps), or write rows with split val"
        )),
        Some(first) if timed && first.step > 0 => Some(format!(
            "no validation loss at step 0 in {place}, the first is at step {}; evaluate before the first step (the Trainer's \
             eval_on_start=True), and remove {out}, whose checkpoints are behind it",
            first.step
        )),
        Some(_) => None,
    }
}

/// That a run is trained past its end.
pub(super) fn past_end(spec: &RunSpec, curves: &Curves, out: &Path) -> Option<String> {
    let (last, steps) = (curves.last_step(), spec.steps);
    let has_diverged = curves.first_bad_step().is_some_and(|step| step <= steps);
    if has_diverged || last <= steps.saturating_add(excess(spec, curves)) {
        return None;
    }
    Some(format!(
        "the command logged a loss at step {last}, but its run has {steps} steps; let it stop after {{steps}} optimizer steps, not \
         after {{horizon}} or a number of its own, and remove {}, whose checkpoints are past the end",
        out.display()
    ))
}

/// Steps past the end up to which a trainer may go, one that stops after whole epochs or counts a step more: to the next loss that
/// it logs. Losses that are as far apart as the run is long show no interval.
fn excess(spec: &RunSpec, curves: &Curves) -> usize {
    let within = |curve: &[CurvePoint]| {
        let end = curve.partition_point(|point| point.step <= spec.steps);
        widest(&curve[..end])
    };
    let interval = within(&curves.val).max(within(&curves.train)).unwrap_or(0).max(spec.eval_every);
    interval.min(spec.steps.saturating_sub(1)).max(1)
}

/// The end of a run whose curve needs no more steps.
pub(super) fn early_end(spec: &RunSpec, curves: &Curves) -> Option<RunEnd> {
    if let Some(step) = curves.first_bad_step() {
        return Some(RunEnd::Diverged { step });
    }
    let certain = spec.stop_when_converged && has_converged(&curves.val, spec.optim.decay_fraction == 0.0);
    certain.then_some(RunEnd::Converged)
}

/// The end of a run whose command has ended by itself.
///
/// # Errors
/// Why the run has failed: the command has left out steps at its end.
pub(super) fn own_end(spec: &RunSpec, curves: &Curves) -> Result<RunEnd, String> {
    let (last, steps) = (curves.last_step(), spec.steps);
    if let Some(step) = curves.first_bad_step() {
        return Ok(RunEnd::Diverged { step });
    }
    if last.saturating_add(interval(spec, curves)) >= steps {
        return Ok(RunEnd::Finished);
    }
    early_end(spec, curves).ok_or_else(|| {
        format!(
            "the command trained {last} of {steps} steps and ended with exit code 0; let it train all {{steps}} and log a loss at \
             the last one, or end with 85 after a checkpoint to be started again"
        )
    })
}

/// Steps between two logged losses, at most, as far as the curves show it: a trainer need not log its last step. Of two curves the
/// one with the shorter interval counts: the next loss of the other may be due after the end.
fn interval(spec: &RunSpec, curves: &Curves) -> usize {
    let seen = widest(&curves.val).into_iter().chain(widest(&curves.train)).min();
    seen.unwrap_or(curves.last_step()).max(spec.eval_every)
}

/// Steps between two losses of a curve, at most; `None` of fewer than two.
fn widest(curve: &[CurvePoint]) -> Option<usize> {
    curve.windows(2).map(|pair| pair[1].step.saturating_sub(pair[0].step)).max()
}

#[cfg(test)]
mod tests {
    use super::{excess, interval};
    use crate::{CurvePoint, RunSpec, command::Curves};
    use mars_laws::Ranks;

    fn points(steps: &[usize]) -> Vec<CurvePoint> {
        steps.iter().map(|step| CurvePoint { step: *step, loss: 2.0 }).collect()
    }

    fn run(steps: usize, eval_every: usize) -> RunSpec {
        RunSpec { eval_every, ..RunSpec::new(Ranks::new().with("llm", 8), 64, 4, steps, 1e-3) }
    }

    #[test]
    fn the_interval_of_a_trainer_is_seen_in_its_losses() {
        let spec = run(100, 10);
        for (val, train, expected) in [
            (&[0, 10, 20][..], &[][..], 10),
            (&[0, 2, 4], &[], 10),
            (&[0, 50], &[], 50),
            (&[20], &[5, 30], 25),
            (&[60], &[], 60),
            (&[20], &[1, 2, 3], 10),
            // Each curve has one of its own.
            (&[0, 50], &[10, 20, 30, 40, 50], 10),
            (&[0, 20, 40], &[30, 60], 20),
            (&[0, 50], &[50], 50),
        ] {
            let curves = Curves { val: points(val), train: points(train), ..Curves::default() };
            assert_eq!(interval(&spec, &curves), expected, "{val:?} {train:?}");
        }
    }

    #[test]
    fn a_trainer_may_go_on_to_its_next_loss() {
        for (steps, every, val, train, expected) in [
            (100, 10, &[0, 10, 20][..], &[][..], 10),
            (100, 1, &[0, 50, 100], &[10, 20, 30], 50),
            (120, 1, &[0, 50, 100, 150], &[], 50),
            // What lies past the end shows no interval of before it.
            (100, 5, &[0, 400], &[], 5),
            (100, 5, &[0, 50, 400], &[100, 399], 50),
            // Nor does one that is as long as the run.
            (100, 100, &[0, 100, 200], &[], 99),
            (100, usize::MAX, &[], &[], 99),
            (2, 7, &[0], &[], 1),
            (1, 1, &[0, 1], &[], 1),
        ] {
            let curves = Curves { val: points(val), train: points(train), ..Curves::default() };
            assert_eq!(excess(&run(steps, every), &curves), expected, "{val:?} {train:?} of {steps}");
        }
    }
}
