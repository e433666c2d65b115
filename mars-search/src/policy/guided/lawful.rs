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
    afforded::{affordable, calibration_share, cut, price_of_choice},
    field::Field,
    moves::{between, highest, middle, wide_pair},
};
use crate::{
    Budget, Candidate, CandidateSource, Error, FittedLaws, Space, TrialResult, calibration,
    policy::guided::GuidedOptions,
    race::rungs,
    records::{Progress, Records},
};
use mars_laws::LawCSummary;

/// Where rank buys little speed, the cut falls after one part in so many of the final run, at its next evaluation.
const LATE_CUT: usize = 10;

/// Exponent of the rank above which rank buys little speed. The paper has -0.33; -0.30 to -0.45 were measured at usual
/// rates, -0.12 to -0.19 at one that is too high.
const LITTLE_SPEED: f64 = -0.25;

/// Most choices of the race.
const MOST: usize = 6;

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
    let cut = cut(budget);
    let late = rungs::on_grid(budget.steps.div_ceil(LATE_CUT), budget);
    let drafts = match affordable(space, budget, extra) {
        Ok(drafts) => drafts,
        Err(unaffordable) => {
            field.notes.push(unaffordable.to_string());
            return Ok(Progress::Done(Calibrated::Refused(0.0, Box::new(field))));
        }
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

/// Steps that a run trained: it may have ended once its convergence was certain.
fn trained(result: &TrialResult) -> usize {
    result.val_curve.last().map_or(result.trial.steps, |(step, _)| *step)
}
