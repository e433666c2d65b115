//! The field of a race that follows a calibration by registration (ours): MARS proper.
//!
//! 1. The most informative design that leaves the price of three more choices in the race, or the smallest that leaves that of one.
//! 2. Law-C of every module, and the balanced tuples that pass the gates.
//! 3. The middle of the range, the highest rank of every module, balanced tuples from the highest down, and what else the cap
//!    pays for race from the beginning of the final run to an early cut, where paired training losses of the first pass decide.
//!
//! Where rank buys little speed, the learning rate is at its limit: lower ranks come first then, and the cut is later (measured on
//! a task with a rate that is too high, where a cut at a twentieth of the run would have kept the worst).

use super::{
    field::Field,
    moves::{between, highest, middle, wide_pair},
};
use crate::{
    Budget, Candidate, CandidateSource, Error, FittedLaws, Space, TrialResult,
    calibration::{self, Design},
    policy::guided::GuidedOptions,
    race::rungs,
    records::{Draft, Progress, Records},
};
use mars_laws::LawCSummary;

/// The cut falls after one part in so many of the final run, at its next evaluation; where rank buys little speed, after one
/// in so many.
const CUT: usize = 20;
const LATE_CUT: usize = 10;

/// Exponent of the rank above which rank buys little speed. The paper has -0.33; -0.30 to -0.45 were measured at usual
/// rates, -0.12 to -0.19 at one that is too high.
const LITTLE_SPEED: f64 = -0.25;

/// How much more another choice may cost than the estimate, for the cap to hold.
const COST_RATIO: f64 = 1.15;

/// Most choices of the race.
const MOST: usize = 6;

/// Choices beside the first that more than the smallest calibration must leave the money for.
const CHOICES: usize = 3;

/// Final runs of more steps than this are not looked at for the number from which on a law could be fitted.
const LONGEST: usize = 1 << 30;

/// What calibration came to.
pub(super) enum Calibrated {
    /// Balanced tuples race.
    Field(Box<Field>),
    /// There is nothing to balance, or no money to race: what it has cost in fine-tunes, and a field with laws and notes, without
    /// entrants.
    Refused(f64, Box<Field>),
}

/// The field by the laws, or the calibration runs that are missing.
///
/// # Errors
/// [`Error::Space`] for more modules than neighbours can be made for.
pub(super) fn line_up(
    mut field: Field,
    space: &Space,
    budget: &Budget,
    options: &GuidedOptions,
    records: &Records,
) -> Result<Progress<Calibrated>, Error> {
    let extra = options.fine_tunes - 1.0;
    let cut = rungs::on_grid(budget.steps.div_ceil(CUT), budget);
    let late = rungs::on_grid(budget.steps.div_ceil(LATE_CUT), budget);
    let designs = Design::all(&budget.calibration);
    let affordable = designs.iter().enumerate().find(|(at, design)| {
        let least = at + 1 == designs.len();
        pays(space, budget, extra, design, if least { 1 } else { CHOICES })
    });
    let Some(drafts) = affordable.map(|(_, design)| design.runs(space, budget)) else {
        field.notes.push(unaffordable(space, budget, extra, &designs));
        return Ok(Progress::Done(Calibrated::Refused(0.0, Box::new(field))));
    };
    let results = match records.all(&drafts) {
        Progress::Done(results) => results,
        Progress::Missing(missing) => return Ok(Progress::Missing(missing)),
    };
    let spent = results.iter().map(|result| calibration_share(budget, trained(result))).sum::<f64>();
    let mut found = calibration::line_up(space, budget, &results, &options.balance);
    field.notes.append(&mut found.faults);
    let slow = buys_little_speed(&found.laws);
    field.laws = Some(found.laws);
    let mut balanced = Vec::new();
    for (at, candidate) in found.candidates.into_iter().enumerate() {
        if found.solved.contains(&at) { balanced.push(candidate) } else { field.candidates.push(candidate) }
    }
    if balanced.is_empty() && !slow {
        return Ok(Progress::Done(Calibrated::Refused(spent, Box::new(field))));
    }
    let places = |cut: usize| {
        (1 + ((extra - spent) / price_of_choice(budget, cut)).floor().max(0.0) as usize).min(MOST)
    };
    // Where the later cut cannot be paid for, the earlier one is for two choices that are not high.
    let (cut, most) = match slow {
        true if places(late) > 1 => (late, places(late)),
        true => (cut, places(cut).min(2)),
        false => (cut, places(cut)),
    };
    field.cut = cut;
    for candidate in choices(space, balanced, slow) {
        field.enter_within(candidate, most);
    }
    if field.racing.len() < 2 {
        field.racing.clear();
        return Ok(Progress::Done(Calibrated::Refused(spent, Box::new(field))));
    }
    field.evaluate_from = vec![field.cut; field.racing.len()];
    field.by_training_loss = true;
    Ok(Progress::Done(Calibrated::Field(Box::new(field))))
}

/// Whether rank buys speed, but little: every module has a law, and some interval of an exponent lies below 0.
fn buys_little_speed(laws: &FittedLaws) -> bool {
    let summaries = || laws.law_c.values().map(|law| &law.summary);
    let highest = summaries().map(|law| law.law.gamma).fold(f64::NEG_INFINITY, f64::max);
    let falls = |law: &LawCSummary| law.interval.get("gamma").is_some_and(|gamma| gamma.hi < 0.0);
    laws.unfitted.is_empty() && highest > LITTLE_SPEED && summaries().any(falls)
}

/// In the order in which they get the places.
fn choices(space: &Space, mut balanced: Vec<Candidate>, slow: bool) -> Vec<Candidate> {
    balanced.sort_by_key(|candidate| space.parameters(&candidate.ranks));
    let centre = middle(space);
    let safe = Candidate::new(centre.clone(), CandidateSource::Middle);
    let [higher, lower] = wide_pair(space, &centre);
    let mut choices = vec![safe];
    if slow {
        choices.push(lower);
        choices.extend(balanced);
        choices.push(higher);
    } else {
        balanced.reverse();
        let top = balanced[0].ranks.clone();
        choices.push(highest(space));
        choices.extend(balanced);
        choices.extend(between(space, &centre, &top));
        choices.extend([higher, lower]);
    }
    choices
}

/// What these calibration runs cost, in fine-tunes.
fn price(budget: &Budget, drafts: &[Draft]) -> f64 {
    drafts.iter().map(|draft| calibration_share(budget, draft.steps)).sum()
}

/// What a calibration run to step `steps` costs, in fine-tunes.
fn calibration_share(budget: &Budget, steps: usize) -> f64 {
    budget.calibration_price(steps) / budget.price(budget.steps, 0)
}

/// What one more choice costs up to the cut, in fine-tunes.
fn price_of_choice(budget: &Budget, cut: usize) -> f64 {
    COST_RATIO * budget.price(cut, cut) / budget.price(budget.steps, 0)
}

/// Steps that a run trained: it may have ended once its convergence was certain.
fn trained(result: &TrialResult) -> usize {
    result.val_curve.last().map_or(result.trial.steps, |(step, _)| *step)
}

/// Whether calibration at one of the designs leaves the price of so many choices beside the first.
fn pays(space: &Space, budget: &Budget, extra: f64, design: &Design, choices: usize) -> bool {
    let cut = rungs::on_grid(budget.steps.div_ceil(CUT), budget);
    price(budget, &design.runs(space, budget)) <= extra - choices as f64 * price_of_choice(budget, cut)
}

/// The fewest steps of a final run, evaluated as often as this one, that pay for the smallest calibration.
fn affordable_from(space: &Space, budget: &Budget, extra: f64, least: &Design) -> Option<usize> {
    let pays = |steps: usize| {
        let eval_every = (budget.eval_every * steps).div_ceil(budget.steps);
        let longer =
            Budget { steps, eval_every, calibration: budget.calibration.of_a_longer_run(), ..budget.clone() };
        pays(space, &longer, extra, least, 1)
    };
    let (mut not, mut enough) = (budget.steps, 2 * budget.steps);
    while !pays(enough) {
        (not, enough) = (enough, 2 * enough);
        if enough > LONGEST {
            return None;
        }
    }
    while enough - not > 1 + not / 256 {
        let middle = not + (enough - not) / 2;
        if pays(middle) { enough = middle } else { not = middle }
    }
    Some(enough)
}

/// Why no law is fitted, and from how many steps on one would be.
fn unaffordable(space: &Space, budget: &Budget, extra: f64, designs: &[Design]) -> String {
    let least = designs.last().map_or(0.0, |design| price(budget, &design.runs(space, budget)));
    let from = designs.last().and_then(|design| affordable_from(space, budget, extra, design));
    let from = from.map_or_else(String::new, |from| format!(" (affordable from about {from} steps on)"));
    format!(
        "the smallest calibration would have cost {least:.2} fine-tunes of the {extra:.2} that are left beside the final \
         run, so no law was fitted{from}"
    )
}
