//! A race of two: the middle of the range, and a challenger that the middle's own first steps select (ours).
//!
//! Ranks set the speed of convergence: higher ones make most of their improvement early. A middle whose loss has
//! converged by a third of the run is too fast for it: lower ranks, which still improve then, often end lower. One that
//! still improves may be too slow. So the middle trains to the cut first, which costs nothing beside the final run if it
//! wins, and its curve says on which side the challenger is: one candidate up, or two down, since too fast costs more
//! than too slow. It has converged where its samples say so by more than their noise (`pace.rs`). Measured in docs/results/suite.md.

use super::{
    moves::{middle, wide_pair},
    pace::{Pace, Verdict},
};
use crate::{
    Budget, Candidate, Role, Space, TrialResult,
    race::rungs,
    records::{Draft, Progress, Records},
};
use mars_laws::Ranks;

/// The cut falls after one part in so many of the final run, or earlier where the cap is small.
/// Chosen on the recorded runs.
const CUT: usize = 3;

/// How much more than the middle its challenger may cost, for the cap to hold: adapters of twice the parameters cost
/// that much more in tiny models only.
const COST_RATIO: f64 = 1.15;

/// Time constants from step 0 to the cut with which the middle counts as converged: two put 90 % of the improvement at
/// 0.4 of the run.
/// A loss that falls as `exp(-2 step / cut)` has made 86 % of its whole improvement at the cut.
const CONVERGED: f64 = 2.0;

/// What the evaluations of a run to `cut` cost that is seen at step 0 and at its end only, in steps.
fn price_of_evaluations(budget: &Budget, cut: usize) -> f64 {
    budget.price(cut, cut) - cut as f64
}

/// The middle, and when the two are compared.
pub(super) struct Challenge {
    /// The middle candidate rank of each module; of two, the lower.
    pub(super) middle: Ranks,
    /// The step that decides.
    pub(super) cut: usize,
    /// The step before it from which on the middle is evaluated.
    pub(super) first_look_at: usize,
}

/// The choice that races the middle.
pub(super) struct Challenger {
    /// Higher or lower ranks than the middle in all modules, with the reason as its note.
    pub(super) candidate: Candidate,
    /// The step from which on it is evaluated.
    pub(super) evaluate_from: usize,
}

impl Challenge {
    /// The latest cut that `extra` fine-tunes beside the final run pay for; `None` where that is before step `earliest`.
    ///
    /// A cut at step c costs `1.15 * price(c) / price(steps)` fine-tunes: the challenger up to it. It starts at a
    /// third of the run, down to an evaluation, and goes back evaluation by evaluation while `extra` does not pay
    /// for it. The first look is at three quarters of the cut or at an evaluation before it; `None` also where
    /// there is none.
    pub(super) fn afforded(space: &Space, budget: &Budget, extra: f64, earliest: usize) -> Option<Self> {
        let every = budget.eval_every;
        let price = |cut: usize| COST_RATIO * budget.price(cut, cut) / budget.price(budget.steps, 0);
        let mut cut = (budget.steps / CUT / every * every).max(earliest);
        // Near the last one that is paid for at once, however many evaluations there are; the rest in steps of one.
        let affordable =
            extra / COST_RATIO * budget.price(budget.steps, 0) - price_of_evaluations(budget, cut);
        let too_far = ((cut as f64 - affordable) / every as f64).floor() - 1.0;
        if too_far >= 1.0 {
            cut = cut.saturating_sub((too_far as usize).saturating_mul(every));
        }
        while cut >= earliest && price(cut) > extra {
            cut = cut.checked_sub(every)?;
        }
        let first_look_at = rungs::on_grid((cut * 3 / 4).saturating_sub(every - 1), budget);
        (cut >= earliest && first_look_at < cut).then(|| Self { middle: middle(space), cut, first_look_at })
    }

    /// The challenger of the middle, or the run that decides which it is; `None` where there are no other ranks.
    pub(super) fn challenger(
        &self,
        space: &Space,
        budget: &Budget,
        records: &Records,
    ) -> Progress<Option<Challenger>> {
        let middle = &self.middle;
        let [higher, lower] = wide_pair(space, middle);
        let challenger = |candidate: Candidate| {
            // What has fewer parameters than the middle can be evaluated from the beginning within the cap.
            let cheaper = space.parameters(&candidate.ranks) < space.parameters(middle);
            let evaluate_from = if cheaper { 0 } else { self.cut };
            Progress::Done(Some(Challenger { candidate, evaluate_from }))
        };
        match (higher.ranks == *middle, lower.ranks == *middle) {
            (true, true) => return Progress::Done(None),
            (true, false) => return challenger(lower),
            (false, true) => return challenger(higher),
            (false, false) => {}
        }
        let opening = Draft {
            evaluate_from: self.first_look_at,
            ..Draft::full_data(Role::Race, middle, budget, self.cut)
        };
        let opening = match records.all(&[opening]) {
            Progress::Done(results) => results[0],
            Progress::Missing(missing) => return Progress::Missing(missing),
        };
        let (mut candidate, why) = match self.pace(opening) {
            // Where the samples cannot tell, it counts as falling: too slow ranks are the commoner case.
            Some(pace) if pace.verdict == Verdict::Converged => (lower, self.in_words(&pace)),
            Some(pace) => (higher, self.in_words(&pace)),
            None => (lower, format!("had not improved by step {} by more than noise", self.cut)),
        };
        candidate.add_note(format!("tried because the loss of {middle} {why}"));
        challenger(candidate)
    }

    /// How the loss moved between the first look and the cut, beside the share of the improvement that counts as just
    /// converged: for a loss that falls as `exp(-2 step / cut)`, (e^(-2 look / cut) - e^-2) / (1 - e^-2), 0.10 at three
    /// quarters. `None` where there was no improvement, or the run diverged or failed.
    fn pace(&self, opening: &TrialResult) -> Option<Pace> {
        let look = opening.val_curve.iter().rev().find(|(step, _)| *step <= self.first_look_at)?.0;
        let left = |step: usize| (-CONVERGED * step as f64 / self.cut as f64).exp();
        let bar = (left(look) - left(self.cut)) / (1.0 - left(self.cut));
        Pace::of(opening, look, bar)
    }

    fn in_words(&self, pace: &Pace) -> String {
        let what = match pace.verdict {
            Verdict::Falling => "was still falling",
            Verdict::Unclear => "may still have been falling",
            Verdict::Converged => "had converged",
        };
        let error = pace.error.map_or_else(
            || "standard error unknown".to_owned(),
            |error| format!("standard error {:.0} %", 100.0 * error),
        );
        format!(
            "{what}: {:.0} % ({error}) of its improvement up to step {} came after step {}, {:.0} % of one that has just \
             converged",
            100.0 * pace.share,
            self.cut,
            self.first_look_at,
            100.0 * pace.bar
        )
    }
}
