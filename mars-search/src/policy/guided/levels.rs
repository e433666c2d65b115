//! The field of a race without laws (ours): levels of all ranks at once, compared early on training losses.
//!
//! What decides most is the level of the ranks, less how they are divided among the modules: on long runs the highest ranks are the
//! best at a usual learning rate and the lowest at one that is too high, and both show in the mean paired training loss of the first
//! tenth of the run (docs/results/mars-by-default.md). So the middle of the range, the highest and lower ranks race up to there.

use super::{
    field::Field,
    moves::{between, highest, middle, wide_pair},
};
use crate::{Budget, Candidate, CandidateSource, Space, race::rungs};

/// The cut falls after one part in so many of the final run, at its next evaluation; where that cannot be paid for, after one in
/// so many. Ranks that are too high for the learning rate still lead then.
const CUT: usize = 10;
const EARLY_CUT: usize = 20;

/// How much more a choice may cost than the one that is left in the end: the highest ranks beside the lowest, in tiny models.
const COST_RATIO: f64 = 1.35;

/// Fewest steps up to the cut: half of them are compared, step by step.
const LEAST: usize = 32;

/// Most choices of the race.
const MOST: usize = 6;

/// Lines up the race if training losses up to the cut are those of unseen samples and `extra` fine-tunes pay for more than
/// one choice; else the field stays as it is. Where they pay for an early cut only, the middle races lower ranks.
pub(super) fn line_up(field: &mut Field, space: &Space, budget: &Budget, extra: f64) {
    let at = |part: usize| rungs::on_grid(budget.steps.div_ceil(part), budget);
    let price = |cut: usize| COST_RATIO * budget.price(cut, cut) / budget.price(budget.steps, 0);
    let places = |cut: usize| ((extra / price(cut)).floor().max(0.0) as usize).saturating_add(1).min(MOST);
    let usable = |cut: &usize| *cut >= LEAST && cut.saturating_mul(budget.batch) <= budget.samples;
    let affordable = [CUT, EARLY_CUT].map(at).into_iter().find(|cut| usable(cut) && places(*cut) > 1);
    let Some(cut) = affordable.filter(|_| budget.training_losses) else { return };
    let (choices, most) = match cut == at(CUT) {
        true => (choices(space), places(cut)),
        false => (not_high(space), 2),
    };
    for candidate in choices {
        field.enter_within(candidate, most);
    }
    if field.racing.len() < 2 {
        field.racing.clear();
        return;
    }
    field.cut = cut;
    field.baseline = middle(space);
    field.evaluate_from = vec![cut; field.racing.len()];
    field.by_training_loss = true;
}

/// In the order in which they get the places.
fn choices(space: &Space) -> Vec<Candidate> {
    let centre = middle(space);
    let [higher, lower] = wide_pair(space, &centre);
    let top = highest(space);
    let mixed = between(space, &centre, &top.ranks);
    let first = [Candidate::new(centre, CandidateSource::Middle), top, lower];
    first.into_iter().chain(mixed).chain([higher]).collect()
}

/// The middle and what is lower.
fn not_high(space: &Space) -> Vec<Candidate> {
    let centre = middle(space);
    let [_, lower] = wide_pair(space, &centre);
    vec![Candidate::new(centre, CandidateSource::Middle), lower]
}
