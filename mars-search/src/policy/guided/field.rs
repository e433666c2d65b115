//! Who races: what calibration says where it is paid for, the default, a wide pair about it, its neighbours.
//!
//! Few and wide, cut late: with a learning rate that is high for them, large ranks lead for a quarter of the run and
//! fall behind for good after it (docs/results/suite.md), so that a cut before that would be worse than none.

use super::{
    GuidedOptions,
    duel::{Duel, Opponent},
};
use crate::{
    Budget, Candidate, Error, FittedLaws, Space, TrialResult, calibration, fitting, lineup,
    records::{Draft, Records},
    rungs,
};
use mars_laws::{Form, Law as _, LawPFit, Ranks};

/// The first cut falls after one part in so many of the final run, at its next evaluation.
const FIRST_CUT: usize = 4;

/// Share of what the search may cost beyond the final run that the stretch up to the first cut takes; the rest lets
/// the best of it run on.
const OPENING: f64 = 0.66;

/// Share of it that calibration may take.
const CALIBRATION: f64 = 0.5;

/// Most candidates of a race.
const MOST: usize = 9;

/// Least probability of being the best by which Law-P brings in a tuple, and most tuples that it brings in.
const PROBABLE: f64 = 0.1;
const BY_LAW: usize = 2;

/// Everybody who was considered.
pub(super) struct Field {
    pub(super) candidates: Vec<Candidate>,
    /// Which of them race.
    pub(super) racing: Vec<usize>,
    /// From which step on each of those is evaluated.
    pub(super) watched: Vec<usize>,
    /// Where the race is first cut.
    pub(super) cut: usize,
    /// The choice beside which the others are dear or cheap.
    pub(super) start: Ranks,
    /// What is to be said about those who do not, each once.
    pub(super) notes: Vec<String>,
    pub(super) laws: Option<FittedLaws>,
}

/// Steps up to the first cut of more than two.
fn first_cut(budget: &Budget) -> usize {
    rungs::on_grid(budget.steps.div_ceil(FIRST_CUT), budget)
}

impl Field {
    /// The field, or the calibration runs that are missing.
    pub(super) fn line_up(
        space: &Space,
        budget: &Budget,
        options: &GuidedOptions,
        records: &Records,
    ) -> Result<Result<Self, Vec<Draft>>, Error> {
        let mut field = Self {
            candidates: Vec::new(),
            racing: Vec::new(),
            watched: Vec::new(),
            cut: first_cut(budget),
            start: space.default_ranks(),
            notes: Vec::new(),
            laws: None,
        };
        let mut extra = options.fine_tunes - 1.0;
        if space.modules.len() > 1 {
            let (alone, joint) = affordable(space, budget, CALIBRATION * extra);
            let drafts: Vec<Draft> = alone.iter().chain(&joint).cloned().collect();
            if alone.is_empty() {
                let price = share(&calibration::alone(space, budget), budget);
                field.notes.push(format!(
                    "calibration would have cost {price:.2} fine-tunes of the {extra:.2} that are left beside the \
                     final run, so no law was fitted"
                ));
            } else {
                let results = match records.all(&drafts) {
                    Ok(results) => results,
                    Err(missing) => return Ok(Err(missing)),
                };
                field.calibrated(space, budget, options, results.split_at(alone.len()));
                extra -= share(&drafts, budget);
            }
        }
        let default = Candidate::new(space.default_ranks(), "default");
        match racers(budget, extra) {
            1 => field.racing = Vec::new(),
            2 if field.racing.is_empty() => {
                if let Err(missing) = field.pair_off(space, budget, extra, records) {
                    return Ok(Err(missing));
                }
            }
            places => {
                field.fill(space, default.clone(), places)?;
                field.watched = vec![field.cut; field.racing.len()];
            }
        }
        if field.racing.len() < 2 {
            field.racing.clear();
            field.enter(default);
            field.watched = vec![0];
        }
        Ok(Ok(field))
    }

    /// Two places: the middle of the range, and the ranks that its beginning speaks for; or the run that is missing to tell.
    fn pair_off(
        &mut self,
        space: &Space,
        budget: &Budget,
        extra: f64,
        records: &Records,
    ) -> Result<(), Vec<Draft>> {
        let Some(duel) = Duel::afforded(space, budget, extra, first_cut(budget)) else {
            self.notes.push(format!(
                "a race needs two evaluations, at a quarter of the run or later and before that, which the cap pays for; there \
                 is one every {} of {} steps",
                budget.eval_every, budget.steps
            ));
            return Ok(());
        };
        if let Some(Opponent { candidate, watched }) = duel.opponent(space, budget, records)? {
            self.cut = duel.cut;
            self.enter(Candidate::new(duel.middle.clone(), "middle"));
            self.enter(candidate);
            self.watched = vec![duel.look, watched];
            self.start = duel.middle;
        }
        Ok(())
    }

    /// Gives the `places`: what calibration brought in keeps its own, with the default beside it, then the wide pair.
    fn fill(&mut self, space: &Space, default: Candidate, places: usize) -> Result<(), Error> {
        let mut others = vec![default];
        others.extend(wide_pair(space, &space.default_ranks()));
        others.extend(neighbours(space)?.into_iter().map(|ranks| Candidate::new(ranks, "neighbour")));
        for candidate in others {
            if self.racing.len() >= places {
                break;
            }
            self.enter(candidate);
        }
        for late in self.racing.split_off(self.racing.len().min(places)) {
            self.candidates[late].add_note("there was no place left in the race");
        }
        Ok(())
    }

    /// Lets a candidate race, unless its ranks do already.
    fn enter(&mut self, candidate: Candidate) {
        match self.candidates.iter().position(|other| other.ranks == candidate.ranks) {
            Some(at) if self.racing.contains(&at) => {}
            Some(at) => self.racing.push(at),
            None => {
                self.racing.push(self.candidates.len());
                self.candidates.push(candidate);
            }
        }
    }

    /// Balanced tuples that pass the gates, then tuples that are most probably best by Law-P.
    fn calibrated(
        &mut self,
        space: &Space,
        budget: &Budget,
        options: &GuidedOptions,
        (alone, joint): (&[&TrialResult], &[&TrialResult]),
    ) {
        let mut found = lineup::balanced(space, budget, alone, &options.balance);
        for (at, candidate) in found.candidates.into_iter().enumerate() {
            if found.solved.contains(&at) {
                self.enter(candidate);
            } else if self.candidates.iter().all(|other| other.ranks != candidate.ranks) {
                self.candidates.push(candidate);
            }
        }
        self.notes.append(&mut found.faults);
        if !joint.is_empty() {
            match probably_best(space, budget, joint) {
                Ok((law, best)) => {
                    found.laws.law_p = Some(law);
                    for (ranks, probability) in best {
                        let mut candidate = Candidate::new(ranks, "law-p");
                        candidate.add_note(format!(
                            "best with probability {probability:.2} by the bootstrap of Law-P"
                        ));
                        self.enter(candidate);
                    }
                }
                Err(why) => self.notes.push(format!("Law-P could not be fitted: {why}")),
            }
        }
        self.laws = Some(found.laws);
    }
}

/// The calibration runs that `limit` fine-tunes pay for: alone runs with joint ones, without, or none at all.
fn affordable(space: &Space, budget: &Budget, limit: f64) -> (Vec<Draft>, Vec<Draft>) {
    if budget.calibration.check(budget.samples).is_err() {
        return (Vec::new(), Vec::new());
    }
    let (mut alone, joint) = (calibration::alone(space, budget), calibration::joint(space, budget));
    alone.iter_mut().for_each(|draft| draft.until_settled = true);
    match share(&alone, budget) {
        price if price > limit => (Vec::new(), Vec::new()),
        price if price + share(&joint, budget) > limit => (alone, Vec::new()),
        _ => (alone, joint),
    }
}

/// What `drafts` cost, in final runs. Their evaluations are as many as those of a whole run or more, so that half of
/// one is the least they are.
fn share(drafts: &[Draft], budget: &Budget) -> f64 {
    let evaluations = budget.price(budget.steps, 0) - budget.steps as f64;
    let price = |draft: &Draft| draft.steps as f64 + 0.5 * evaluations;
    drafts.iter().map(price).sum::<f64>() / budget.price(budget.steps, 0)
}

/// How many may race when `extra` fine-tunes may be spent beside the final run.
fn racers(budget: &Budget, extra: f64) -> usize {
    let cut = first_cut(budget);
    let price = budget.price(cut, cut) / budget.price(budget.steps, cut);
    let affordable = (extra / price).floor().max(0.0) as usize;
    let opening = (OPENING * extra / price).floor() as usize;
    1 + opening.max(1).min(affordable).min(MOST - 1)
}

/// All modules one candidate above `ranks`, and all two below.
pub(super) fn wide_pair(space: &Space, ranks: &Ranks) -> [Candidate; 2] {
    let moved = |by: isize| -> Ranks {
        let rank = |module: &String| moved(space, module, ranks.get(module), by);
        space.modules.iter().map(|module| (module.as_str(), rank(module))).collect()
    };
    [Candidate::new(moved(1), "higher"), Candidate::new(moved(-2), "lower")]
}

/// The candidate rank of `module` so many steps above the rank `from`, or below it; the last there is.
fn moved(space: &Space, module: &str, from: usize, by: isize) -> usize {
    let ranks = space.ranks_of(module);
    let steps = by.unsigned_abs().saturating_sub(1);
    let found = if by > 0 {
        let mut above = ranks.iter().filter(|rank| **rank > from);
        above.nth(steps).or(ranks.last())
    } else {
        let mut below = ranks.iter().rev().filter(|rank| **rank < from);
        below.nth(steps).or(ranks.first())
    };
    found.copied().unwrap_or(from)
}

/// The corners of the cube one candidate step about the default: first all ranks up, then one module down (the
/// reference last, whose rank matters most in what we measured), then more.
fn neighbours(space: &Space) -> Result<Vec<Ranks>, Error> {
    let mut modules: Vec<&String> = space.modules.iter().collect();
    modules.sort_by_key(|module| **module == space.reference);
    if modules.len() > 12 {
        return Err(Error::Space { why: format!("{} modules are more than a race can hold", modules.len()) });
    }
    let mut corners: Vec<usize> = (0..1 << modules.len()).collect();
    // A set bit is a module that goes down; modules come in the order of their bits, the reference last.
    corners.sort_by_key(|corner| (corner.count_ones(), *corner));
    let tuple = |corner: usize| -> Ranks {
        let ranks = modules.iter().enumerate().map(|(bit, module)| {
            let up = corner >> bit & 1 == 0;
            (module.as_str(), moved(space, module, space.default_rank, if up { 1 } else { -1 }))
        });
        ranks.collect()
    };
    Ok(corners.into_iter().map(tuple).collect())
}

/// Law-P in the form that `choose_form` prefers, and the tuples of the grid that are best in some of its refits, the most
/// probable first.
fn probably_best(
    space: &Space,
    budget: &Budget,
    joint: &[&TrialResult],
) -> Result<(LawPFit, Vec<(Ranks, f64)>), String> {
    let form = fitting::form_of_law_p(joint).unwrap_or(Form::Published);
    let fit = fitting::law_p_with_refits(joint, form, budget.seed)?;
    let grid = space.grid().map_err(|error| error.to_string())?;
    let refits = fit.bootstrap.as_ref().map_or(&[][..], |bootstrap| &bootstrap.draws);
    let mut wins = vec![0_usize; grid.len()];
    let inputs: Vec<Vec<f64>> = grid
        .iter()
        .map(|ranks| {
            let ranks = fit.law.modules.iter().map(|module| ranks.get(module) as f64);
            ranks.chain([budget.samples as f64]).collect()
        })
        .collect();
    for parameters in refits {
        let predicted = inputs.iter().map(|input| fit.law.predict(parameters, input)).enumerate();
        let best = predicted.filter(|(_, p)| p.is_finite()).min_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((at, _)) = best {
            wins[at] += 1;
        }
    }
    let mut ranked: Vec<(Ranks, f64)> =
        grid.into_iter().zip(wins).map(|(ranks, n)| (ranks, n as f64 / refits.len().max(1) as f64)).collect();
    ranked.retain(|(_, probability)| *probability >= PROBABLE);
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    ranked.truncate(BY_LAW);
    Ok((fit.without_bootstrap(), ranked))
}
