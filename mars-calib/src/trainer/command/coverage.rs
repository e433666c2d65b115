//! How far the curve of a run reaches: from its first step, to its last one, to a certain end before that, or to neither.

use super::Curves;
use crate::{CurvePoint, RunEnd, RunSpec, convergence::has_converged};
use std::path::Path;

/// What is wrong with a run that is not evaluated where it must be, as far as its curve in `place` shows it: at all, and at step
/// 0 where one of `several` modules is trained alone, whose convergence is timed from the loss of the base model on. `out` is its
/// directory.
pub(super) fn not_evaluated(
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
    use super::interval;
    use crate::{CurvePoint, RunSpec, command::Curves};
    use mars_laws::Ranks;

    #[test]
    fn the_interval_of_a_trainer_is_seen_in_its_losses() {
        let points =
            |steps: &[usize]| steps.iter().map(|step| CurvePoint { step: *step, loss: 2.0 }).collect();
        let plain = RunSpec::new(Ranks::new().with("llm", 8), 64, 4, 100, 1e-3);
        let spec = RunSpec { eval_every: 10, ..plain };
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
}
