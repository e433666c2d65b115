//! Which rank choices race: those from calibration where the cap pays for it, the default, a wide pair about it, its
//! neighbours.
//!
//! Few and wide, cut late: with a learning rate that is high for them, large ranks lead for a quarter of the run and
//! fall behind for good after it (docs/results/suite.md), so that a cut before that would be worse than none.

use super::{
    GuidedOptions,
    afforded::by_registration,
    challenger::{Challenge, Challenger},
    lawful::{self, Calibrated},
    levels,
    moves::{neighbours, wide_pair},
    price::{affordable, first_cut, racers, share},
    probable::probably_best,
};
use crate::{
    Budget, Candidate, CandidateSource, DecisionOutcome, Error, FittedLaws, LawPLoss, Space, TrialResult,
    calibration,
    race::{Entrant, EvidenceRule, Handicap, Race, Score},
    records::{Draft, Progress, Records},
};
use mars_laws::Ranks;

/// Share of what the search may cost beyond the final run that calibration may take.
/// Ours: half of it is left to the race.
const CALIBRATION: f64 = 0.5;

/// Why a balanced choice does not race.
pub(super) const NO_PLACE: &str = "there was no place left in the race";

/// Every rank choice that was considered.
pub(super) struct Field {
    /// Racing or not, each rank tuple once.
    pub(super) candidates: Vec<Candidate>,
    /// Which of them race.
    pub(super) racing: Vec<usize>,
    /// The step from which on each of those is evaluated.
    /// Optimizer steps, in the order of `racing`.
    pub(super) evaluate_from: Vec<usize>,
    /// Where the race is first cut.
    /// Optimizer steps; an evaluation of a full-length run.
    pub(super) cut: usize,
    /// The choice beside which others have more adapter parameters or fewer.
    pub(super) baseline: Ranks,
    /// What is to be said about those who do not, each once.
    pub(super) notes: Vec<String>,
    /// What calibration fitted; `None` where there was none.
    pub(super) laws: Option<FittedLaws>,
    /// Whether paired training losses of the first pass decide where there are any, instead of validation losses with a handicap.
    pub(super) by_training_loss: bool,
}

impl Field {
    /// The field, or the calibration runs that are missing.
    ///
    /// A single choice is trained at once. With `extra = fine_tunes - 1`: calibration is done if it costs at most half of `extra`.
    /// Without balanced tuples, levels of all ranks race where training losses can decide ([`levels`]). Else what remains gives
    /// the places of the race ([`racers`]): one place is the default alone, two without calibration are the middle and its
    /// challenger, more are filled with balanced tuples, tuples by Law-P, the default, the wide pair and the neighbours, in this
    /// order.
    ///
    /// # Errors
    /// [`Error::Space`] for more modules than [`neighbours`] can combine, or more rank tuples than joint calibration runs can be
    /// spread over.
    pub(super) fn line_up(
        space: &Space,
        budget: &Budget,
        options: &GuidedOptions,
        records: &Records,
    ) -> Result<Progress<Self>, Error> {
        let mut field = Self {
            candidates: Vec::new(),
            racing: Vec::new(),
            evaluate_from: Vec::new(),
            cut: first_cut(budget),
            baseline: space.default_ranks(),
            notes: Vec::new(),
            laws: None,
            by_training_loss: false,
        };
        let mut extra = options.fine_tunes - 1.0;
        if space.is_one_choice() {
            field.enter(Candidate::new(space.default_ranks(), CandidateSource::Default));
            field.evaluate_from = vec![0];
            return Ok(Progress::Done(field));
        }
        if by_registration(space, budget) {
            match lawful::line_up(field, space, budget, options, records) {
                Progress::Missing(missing) => return Ok(Progress::Missing(missing)),
                Progress::Done(Calibrated::Field(ready)) => return Ok(Progress::Done(*ready)),
                Progress::Done(Calibrated::Refused(spent, rest)) => {
                    (field, extra) = (*rest, extra - spent);
                }
            }
        } else if space.modules.len() > 1 && budget.calibration.ranks.len() < 2 {
            field.notes.push("an exponent needs at least two ranks, so no law is fitted".to_owned());
        } else if space.modules.len() > 1 {
            let limit = CALIBRATION * extra;
            let (alone, joint) = affordable(space, budget, limit)?;
            let drafts: Vec<Draft> = alone.iter().chain(&joint).cloned().collect();
            if alone.is_empty() {
                let price = share(&calibration::alone(space, budget), budget);
                field.notes.push(format!(
                    "calibration would have cost {price:.2} fine-tunes, and may take {limit:.2}, half of what is left \
                     beside the final run, so no law was fitted"
                ));
            } else {
                let results = match records.all(&drafts) {
                    Progress::Done(results) => results,
                    Progress::Missing(missing) => return Ok(Progress::Missing(missing)),
                };
                field.calibrated(space, budget, options, results.split_at(alone.len()));
                extra -= share(&drafts, budget);
            }
        }
        if field.racing.is_empty() {
            levels::line_up(&mut field, space, budget, extra);
            if !field.racing.is_empty() {
                return Ok(Progress::Done(field));
            }
        }
        let default = Candidate::new(space.default_ranks(), CandidateSource::Default);
        match racers(budget, extra) {
            1 => field.racing = Vec::new(),
            2 if field.racing.is_empty() => {
                if let Progress::Missing(missing) = field.pair_off(space, budget, extra, records) {
                    return Ok(Progress::Missing(missing));
                }
            }
            places => {
                field.fill(space, default.clone(), places)?;
                field.evaluate_from = vec![field.cut; field.racing.len()];
            }
        }
        if field.racing.len() < 2 {
            field.racing.clear();
            field.enter(default);
            field.evaluate_from = vec![0];
        }
        Ok(Progress::Done(field))
    }

    /// Those that race, in the order of [`racing`](Self::racing).
    pub(super) fn entrants(&self) -> Vec<Entrant<'_>> {
        let entrant = |(&at, &evaluate_from): (&usize, &usize)| Entrant {
            ranks: &self.candidates[at].ranks,
            evaluate_from,
        };
        self.racing.iter().zip(&self.evaluate_from).map(entrant).collect()
    }

    /// When they are compared.
    pub(super) fn rule(&self, options: &GuidedOptions) -> EvidenceRule {
        let GuidedOptions { fine_tunes, error_rate, .. } = *options;
        EvidenceRule { first_cut: self.cut, fine_tunes, error_rate }
    }

    /// Their race.
    pub(super) fn race<'a>(
        &'a self,
        space: &'a Space,
        budget: &'a Budget,
        entrants: &'a [Entrant<'a>],
        rule: &'a EvidenceRule,
        tolerance: f64,
    ) -> Race<'a> {
        Race {
            space,
            budget,
            entrants,
            rule,
            score: if self.by_training_loss { Score::Training } else { Score::Validation },
            handicap: Some(Handicap { baseline: &self.baseline }),
            tolerance,
        }
    }

    /// Two places: the middle of the range, and the challenger that its first steps select.
    fn pair_off(&mut self, space: &Space, budget: &Budget, extra: f64, records: &Records) -> Progress<()> {
        let Some(challenge) = Challenge::afforded(space, budget, extra, first_cut(budget)) else {
            let (every, steps, first) = (budget.eval_every, budget.steps, first_cut(budget));
            self.notes.push(if every < first && first < steps {
                format!(
                    "the cap does not pay for a second choice up to step {first}, the first evaluation at a quarter of the \
                     {steps} steps or later"
                )
            } else {
                format!(
                    "there is one evaluation every {every} of {steps} steps: a race within the cap needs one at a quarter of \
                     the run or later, and one before that"
                )
            });
            return Progress::Done(());
        };
        let challenger = match challenge.challenger(space, budget, records) {
            Progress::Done(challenger) => challenger,
            Progress::Missing(missing) => return Progress::Missing(missing),
        };
        if let Some(Challenger { candidate, evaluate_from }) = challenger {
            self.cut = challenge.cut;
            self.enter(Candidate::new(challenge.middle.clone(), CandidateSource::Middle));
            self.enter(candidate);
            self.evaluate_from = vec![challenge.first_look_at, evaluate_from];
            self.baseline = challenge.middle;
        }
        Progress::Done(())
    }

    /// Gives the `places`: what calibration brought in keeps its own, with the default beside it, then the wide pair.
    fn fill(&mut self, space: &Space, default: Candidate, places: usize) -> Result<(), Error> {
        let mut others = vec![default];
        others.extend(wide_pair(space, &space.default_ranks()));
        others.extend(
            neighbours(space)?.into_iter().map(|ranks| Candidate::new(ranks, CandidateSource::Neighbour)),
        );
        for candidate in others {
            if self.racing.len() >= places {
                break;
            }
            self.enter(candidate);
        }
        for late in self.racing.split_off(self.racing.len().min(places)) {
            self.candidates[late].add_note(NO_PLACE);
        }
        Ok(())
    }

    /// Lets a candidate race, unless its ranks do already, or as many as there are places race.
    pub(super) fn enter_within(&mut self, candidate: Candidate, places: usize) {
        if self.racing.len() < places {
            self.enter(candidate);
        }
    }

    /// Whether these ranks race.
    pub(super) fn races(&self, ranks: &Ranks) -> bool {
        self.racing.iter().any(|&at| self.candidates[at].ranks == *ranks)
    }

    /// Lists a candidate that does not race, with the reason, unless its ranks are listed.
    pub(super) fn list(&mut self, mut candidate: Candidate, why: &str) {
        if self.candidates.iter().all(|other| other.ranks != candidate.ranks) {
            candidate.add_note(why);
            self.candidates.push(candidate);
        }
    }

    /// Lets a candidate race, unless its ranks do already.
    pub(super) fn enter(&mut self, candidate: Candidate) {
        match self.candidates.iter().position(|other| other.ranks == candidate.ranks) {
            Some(at) if self.racing.contains(&at) => {}
            Some(at) => {
                // What has come out as the default because nothing could be balanced is none of the balanced.
                if self.candidates[at].outcome == Some(DecisionOutcome::Fallback) {
                    self.candidates[at].source = candidate.source;
                }
                self.racing.push(at);
            }
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
        let mut found = calibration::line_up(space, budget, alone, &options.balance);
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
                    (found.laws.law_p, found.laws.law_p_loss) = (Some(law), LawPLoss::of_ends(joint));
                    for (ranks, probability) in best {
                        let mut candidate = Candidate::new(ranks, CandidateSource::LawP);
                        candidate
                            .add_note(format!("probability {probability:.2} of being the best by Law-P"));
                        self.enter(candidate);
                    }
                }
                Err(why) => self.notes.push(format!("Law-P could not be fitted: {why}")),
            }
        }
        self.laws = Some(found.laws);
    }
}
