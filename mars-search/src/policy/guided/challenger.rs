//! A race of two: the middle of the range, and the challenger that the middle's own beginning speaks for (ours).
//!
//! Ranks set the speed of convergence: higher ones make most of their improvement early. A middle whose loss has
//! converged by a third of the run is too fast for it: lower ranks, which still improve then, often end lower. One that
//! still improves may be too slow. So the middle trains to the cut first, which costs nothing beside the final run if it
//! wins, and its curve says on which side the challenger is: one candidate up, or two down, since too fast costs more
//! than too slow. Measured in docs/results/suite.md.

use super::moves::{middle, wide_pair};
use crate::{
    Budget, Candidate, Role, Space, TrialResult,
    race::rungs,
    records::{Draft, Progress, Records},
};
use mars_laws::Ranks;

/// The cut falls after one part in so many of the final run, or earlier where the cap is small.
const CUT: usize = 3;

/// How much more than the middle its challenger may cost, for the cap to hold: adapters of twice the parameters cost
/// that much more in tiny models only.
const COST_RATIO: f64 = 1.15;

/// Time constants from step 0 to the cut with which the middle counts as converged: two put 90 % of the improvement at
/// 0.4 of the run.
const CONVERGED: f64 = 2.0;

/// The middle, and when the two are compared.
pub(super) struct Contest {
    pub(super) middle: Ranks,
    /// The step that decides.
    pub(super) cut: usize,
    /// The step before it from which on the middle is evaluated.
    pub(super) first_look_at: usize,
}

/// The choice that races the middle.
pub(super) struct Challenger {
    pub(super) candidate: Candidate,
    /// The step from which on it is evaluated.
    pub(super) evaluate_from: usize,
}

impl Contest {
    /// The latest cut that `extra` fine-tunes beside the final run pay for; none where that is before the step `earliest`.
    pub(super) fn afforded(space: &Space, budget: &Budget, extra: f64, earliest: usize) -> Option<Self> {
        let every = budget.eval_every;
        let price = |cut: usize| COST_RATIO * budget.price(cut, cut) / budget.price(budget.steps, 0);
        let mut cut = (budget.steps / CUT / every * every).max(earliest);
        while cut >= earliest && price(cut) > extra {
            cut = cut.checked_sub(every)?;
        }
        let first_look_at = rungs::on_grid((cut * 3 / 4).saturating_sub(every - 1), budget);
        (cut >= earliest && first_look_at < cut).then(|| Self { middle: middle(space), cut, first_look_at })
    }

    /// The challenger of the middle, or the run that is missing to tell; `None` where there are no other ranks.
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
        let (mut candidate, why) = match self.recent_share(opening) {
            Some((share, bar)) if share >= bar => {
                (higher, format!("was still falling ({})", in_words(share)))
            }
            Some((share, _)) => (lower, format!("had settled ({})", in_words(share))),
            None => (lower, "had won nothing".to_owned()),
        };
        candidate.add_note(format!(
            "tried because {middle} {why} from step {} to {}",
            self.first_look_at, self.cut
        ));
        challenger(candidate)
    }

    /// The share of the improvement that was won since the look, and what it is for one that has just settled; `None` where
    /// nothing was won, or the run died.
    fn recent_share(&self, opening: &TrialResult) -> Option<(f64, f64)> {
        let (first, last) = (opening.val_curve.first()?.1, opening.last_loss()?);
        let &(first_look_at, before) =
            opening.val_curve.iter().rev().find(|(step, _)| *step <= self.first_look_at)?;
        let share = (before - last) / (first - last);
        let left = |step: usize| (-CONVERGED * step as f64 / self.cut as f64).exp();
        let bar = (left(first_look_at) - left(self.cut)) / (1.0 - left(self.cut));
        (first > last && share.is_finite()).then_some((share, bar))
    }
}

fn in_words(share: f64) -> String {
    format!("{:.0} % of what it had won came last", 100.0 * share)
}
