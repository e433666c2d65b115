//! Two places: the middle of the range, and the ranks that its own beginning speaks for (ours).
//!
//! Ranks set the speed: higher ones win most of their improvement early. A middle that has settled by a third of the run is
//! too fast for it: lower ranks, which still fall then, often end lower. One that still falls may be too slow. So the middle
//! trains to the cut first, which costs nothing beside the final run if it wins, and its curve says on which side the other
//! is looked for: one candidate up, or two down, since too fast costs more than too slow. Measured in
//! docs/results/suite.md.

use super::field::wide_pair;
use crate::{
    Budget, Candidate, Role, Space, TrialResult,
    records::{Draft, Records},
    rungs,
};
use mars_laws::Ranks;

/// The cut falls after one part in so many of the final run, or earlier where the cap is small.
const CUT: usize = 3;

/// How much dearer than the middle its opponent may be, for the cap to hold: adapters of twice the parameters are that
/// much dearer in tiny models only.
const DEARER: f64 = 1.15;

/// Time constants from step 0 to the cut with which the middle counts as settled: two put 90 % of the improvement at 0.4 of
/// the run.
const SETTLED: f64 = 2.0;

/// The middle, and when the two are looked at.
pub(super) struct Duel {
    pub(super) middle: Ranks,
    /// The step that decides, and the one before it from which the middle is looked at.
    pub(super) cut: usize,
    pub(super) look: usize,
}

/// The opponent, and from which step on it is evaluated.
pub(super) struct Opponent {
    pub(super) candidate: Candidate,
    pub(super) watched: usize,
}

impl Duel {
    /// The latest cut that `extra` fine-tunes beside the final run pay for; none where that is before the step `earliest`.
    pub(super) fn afforded(space: &Space, budget: &Budget, extra: f64, earliest: usize) -> Option<Self> {
        let every = budget.eval_every;
        let price = |cut: usize| DEARER * budget.price(cut, cut) / budget.price(budget.steps, 0);
        let mut cut = (budget.steps / CUT / every * every).max(earliest);
        while cut >= earliest && price(cut) > extra {
            cut = cut.checked_sub(every)?;
        }
        let look = rungs::on_grid((cut * 3 / 4).saturating_sub(every - 1), budget);
        (cut >= earliest && look < cut).then(|| Self { middle: middle(space), cut, look })
    }

    /// The opponent of the middle, or the run that is missing to tell; nobody where there are no other ranks.
    pub(super) fn opponent(
        &self,
        space: &Space,
        budget: &Budget,
        records: &Records,
    ) -> Result<Option<Opponent>, Vec<Draft>> {
        let middle = &self.middle;
        let [higher, lower] = wide_pair(space, middle);
        let opening =
            Draft { evaluate_from: self.look, ..Draft::full_data(Role::Race, middle, budget, self.cut) };
        let watched = |candidate: Candidate| {
            // Whoever is cheaper than the middle can afford to be watched from the beginning.
            let cheaper = space.parameters(&candidate.ranks) < space.parameters(middle);
            Opponent { candidate, watched: if cheaper { 0 } else { self.cut } }
        };
        match (higher.ranks == *middle, lower.ranks == *middle) {
            (true, true) => Ok(None),
            (true, false) => Ok(Some(watched(lower))),
            (false, true) => Ok(Some(watched(higher))),
            (false, false) => {
                let opening = records.all(&[opening])?[0];
                let (mut candidate, why) = match self.recent(opening) {
                    Some((share, bar)) if share >= bar => {
                        (higher, format!("was still falling ({})", last_part(share)))
                    }
                    Some((share, _)) => (lower, format!("had settled ({})", last_part(share))),
                    None => (lower, "had won nothing".to_owned()),
                };
                candidate.add_note(format!(
                    "tried because {middle} {why} from step {} to {}",
                    self.look, self.cut
                ));
                Ok(Some(watched(candidate)))
            }
        }
    }

    /// The share of the improvement that was won since the look, and what it is for one that has just settled; `None` where
    /// nothing was won, or the run died.
    fn recent(&self, opening: &TrialResult) -> Option<(f64, f64)> {
        let (first, last) = (opening.val_curve.first()?.1, opening.last_loss()?);
        let &(look, before) = opening.val_curve.iter().rev().find(|(step, _)| *step <= self.look)?;
        let share = (before - last) / (first - last);
        let left = |step: usize| (-SETTLED * step as f64 / self.cut as f64).exp();
        let bar = (left(look) - left(self.cut)) / (1.0 - left(self.cut));
        (first > last && share.is_finite()).then_some((share, bar))
    }
}

fn last_part(share: f64) -> String {
    format!("{:.0} % of what it had won came last", 100.0 * share)
}

/// The candidate of each module in the middle of its range; of two, the lower.
fn middle(space: &Space) -> Ranks {
    let rank = |module: &String| {
        let ranks = space.ranks_of(module);
        ranks.get(ranks.len().saturating_sub(1) / 2).copied().unwrap_or(space.default_rank)
    };
    space.modules.iter().map(|module| (module.as_str(), rank(module))).collect()
}
