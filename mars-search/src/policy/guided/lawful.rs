//! The field of a race that follows a calibration by registration (ours): MARS proper.
//!
//! 1. The most informative design that leaves the price of three more choices in the race, or the smallest that leaves that of one.
//! 2. Law-C of every module, and the balanced tuples that pass the gates.
//! 3. A pair that trains up to an early cut, where paired training losses of the first pass decide, or without them validation losses with
//!    the handicap: the middle of the range beside the highest rank of every module, or what comes next below these that the cap pays for
//!    whichever wins ([`funds`](super::funds)). Within the cap a cut as late as that of a race without laws leaves nothing for a law: on
//!    recorded runs without training losses that ended worse than an early one.
//! 4. Rivals of its leader, as many as the cap still pays for by what the runs so far have cost: lower ranks where the middle leads,
//!    balanced tuples where the highest does ([`rivals`](super::rivals)).
//!
//! Where rank buys little speed, the learning rate is at its limit: the middle is beside lower ranks then, and the cut is later (measured on
//! a task with a rate that is too high, where a cut at a twentieth of the run would have kept the worst).

use super::{
    afforded::{affordable, cut, is_evaluated_once},
    field::{Field, NO_PLACE},
    funds::Funds,
    moves::{between, highest, middle, nearly_highest, wide_pair},
    rivals::{Rivals, is_balanced},
};
use crate::{
    Budget, Candidate, CandidateSource, FittedLaws, Space, calibration,
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

/// What calibration came to.
pub(super) enum Calibrated {
    /// Balanced tuples can race.
    Field(Box<Field>),
    /// There is nothing to balance, or no money to race: what it has cost in fine-tunes, and a field with laws and notes, without
    /// entrants.
    Refused(f64, Box<Field>),
}

/// The field by the laws, or the runs that are missing: of calibration, or of the pair.
pub(super) fn line_up(
    mut field: Field,
    space: &Space,
    budget: &Budget,
    options: &GuidedOptions,
    records: &Records,
) -> Progress<Calibrated> {
    let extra = options.fine_tunes - 1.0;
    let drafts = match affordable(space, budget, extra) {
        Ok(drafts) => drafts,
        Err(unaffordable) => {
            field.notes.push(if is_evaluated_once(budget) {
                format!(
                    "one evaluation every {} of {} steps leaves none at which choices could be compared, so no law is fitted",
                    budget.eval_every, budget.steps
                )
            } else {
                unaffordable.to_string()
            });
            return Progress::Done(Calibrated::Refused(0.0, Box::new(field)));
        }
    };
    let alone = match records.all(&drafts) {
        Progress::Done(results) => results,
        Progress::Missing(missing) => return Progress::Missing(missing),
    };
    let funds = Funds::after(space, budget, options, records, &alone);
    let mut found = calibration::line_up(space, budget, &alone, &options.balance);
    field.notes.append(&mut found.faults);
    let slow = buys_little_speed(&found.laws);
    field.laws = Some(found.laws);
    let mut balanced = Vec::new();
    for (at, candidate) in found.candidates.into_iter().enumerate() {
        if found.solved.contains(&at) { balanced.push(candidate) } else { field.candidates.push(candidate) }
    }
    let late = rungs::on_grid(budget.steps.div_ceil(LATE_CUT), budget);
    let cuts = if slow { vec![late, cut(budget)] } else { vec![cut(budget)] };
    let paid_for = cuts.into_iter().find_map(|cut| Some((cut, pair(space, slow, &funds, cut)?)));
    let Some((cut, pair)) = paid_for.filter(|_| slow || !balanced.is_empty()) else {
        balanced.into_iter().for_each(|candidate| field.list(candidate, NO_PLACE));
        return Progress::Done(Calibrated::Refused(funds.spent, Box::new(field)));
    };
    pair.into_iter().for_each(|candidate| field.enter(candidate));
    (field.cut, field.evaluate_from, field.by_training_loss) = (cut, vec![cut; 2], true);
    field.baseline = middle(space);
    let rivals = Rivals { space, budget, options, records, alone: &alone };
    let lead = match rivals.lead(&field) {
        Progress::Done(lead) => lead,
        Progress::Missing(missing) => return Progress::Missing(missing),
    };
    let middle_leads = lead.as_ref().is_none_or(|lead| lead.leader == 0);
    let mut others = others(space, balanced, slow, middle_leads);
    if lead.is_none() && !field.races(&others[0].ranks) {
        // Both diverged or failed: lower ranks may not.
        field.enter(others.remove(0));
        field.evaluate_from.push(cut);
    }
    match lead {
        // Where the later cut cannot be paid for, the earlier one is for two choices that are not high.
        Some(lead) if !slow || cut == late => rivals.admit(&mut field, &lead, others),
        _ => others.into_iter().filter(is_balanced).for_each(|candidate| field.list(candidate, NO_PLACE)),
    }
    Progress::Done(Calibrated::Field(Box::new(field)))
}

/// The middle, and the level of ranks that is compared with it: the first that the cap pays for to step `cut`.
fn pair(space: &Space, slow: bool, funds: &Funds<'_>, cut: usize) -> Option<[Candidate; 2]> {
    let centre = middle(space);
    let [higher, lower] = wide_pair(space, &centre);
    let levels: Vec<Candidate> = if slow {
        vec![lower]
    } else {
        std::iter::once(highest(space)).chain(nearly_highest(space)).chain([higher]).collect()
    };
    let pays = |beside: &Candidate| beside.ranks != centre && funds.pay_for([&centre, &beside.ranks], cut);
    let beside = levels.into_iter().find(pays)?;
    Some([Candidate::new(centre, CandidateSource::Middle), beside])
}

/// What may race the leader of the pair, in the order in which it gets the places.
fn others(space: &Space, mut balanced: Vec<Candidate>, slow: bool, middle_leads: bool) -> Vec<Candidate> {
    let centre = middle(space);
    let [higher, lower] = wide_pair(space, &centre);
    balanced.sort_by_key(|candidate| space.parameters(&candidate.ranks));
    if slow || middle_leads {
        return std::iter::once(lower).chain(balanced).chain([higher]).collect();
    }
    balanced.reverse();
    let top = highest(space);
    let mixed = balanced.first().map_or_else(|| top.ranks.clone(), |best| best.ranks.clone());
    let mixed = between(space, &centre, &mixed);
    std::iter::once(top).chain(balanced).chain(mixed).collect()
}

/// Whether rank buys speed, but little: every module has a law, and some interval of an exponent lies below 0.
fn buys_little_speed(laws: &FittedLaws) -> bool {
    let summaries = || laws.law_c.values().map(|law| &law.summary);
    let highest = summaries().map(|law| law.law.gamma).fold(f64::NEG_INFINITY, f64::max);
    let falls = |law: &LawCSummary| law.interval.get("gamma").is_some_and(|gamma| gamma.hi < 0.0);
    laws.unfitted.is_empty() && highest > LITTLE_SPEED && summaries().any(falls)
}
