//! The rivals of the leader of a pair: whom a race takes in once it is known which of two levels of the ranks is ahead (ours).
//!
//! Where the lower of the pair is ahead, what is lower still may be better, and what is above the higher one is not; so a choice is
//! paid for only where the leader makes it worth a look. By then the runs so far say what a step costs at any ranks ([`RankCosts`]), so
//! that the cap holds whether the leader or one of them wins.

use super::{
    GuidedOptions,
    field::{Field, NO_PLACE},
    rank_costs::RankCosts,
};
use crate::{
    Budget, Candidate, CandidateSource, Space, TrialResult,
    race::{Lead, Spent, counts_flops},
    records::{Progress, Records},
};
use mars_laws::Ranks;

/// Most choices of the race.
const MOST: usize = 6;

/// How much more than foreseen a choice may cost: samples of calibration and of the whole training set differ in length.
pub(super) const MARGIN: f64 = 1.01;

/// What decides who is taken in.
pub(super) struct Rivals<'a> {
    pub(super) space: &'a Space,
    pub(super) budget: &'a Budget,
    pub(super) options: &'a GuidedOptions,
    pub(super) records: &'a Records,
    /// The calibration runs.
    pub(super) alone: &'a [&'a TrialResult],
}

impl Rivals<'_> {
    /// Who leads at the cut of `field`, or the runs that are missing; `None` where all diverged or failed.
    pub(super) fn lead(&self, field: &Field) -> Progress<Option<Lead>> {
        let (entrants, rule) = (field.entrants(), field.rule(self.options));
        let race = field.race(self.space, self.budget, &entrants, &rule, self.options.tolerance);
        race.lead(self.records, field.cut)
    }

    /// Lets `rivals` race, in their order, where the cap pays for them up to the cut whoever of the leader and them wins. Balanced ones
    /// that it does not pay for are listed.
    pub(super) fn admit(&self, field: &mut Field, lead: &Lead, rivals: Vec<Candidate>) {
        let counted = counts_flops(self.records);
        let alone: Vec<(&TrialResult, Spent)> =
            self.alone.iter().map(|result| (*result, Spent::of(result, 0, counted))).collect();
        let paid = alone.iter().map(|(_, spent)| spent).chain(&lead.spent);
        let mut total: f64 = paid.map(|spent| spent.training + spent.evaluation).sum();
        let cut = field.cut;
        let leader = field.candidates[field.racing[lead.leader]].ranks.clone();
        let priced: &[_] = if counted { &alone } else { &[] };
        let costs =
            RankCosts::measured(self.space, self.budget, &leader, (cut, lead.spent[lead.leader]), priced);
        let above = |winner: &Ranks| costs.above(winner, cut, self.options.fine_tunes);
        let mut largest = above(&leader);
        for rival in rivals {
            if field.races(&rival.ranks) {
                continue;
            }
            let price = MARGIN * costs.run(&rival.ranks, cut, cut);
            let worst = largest.max(above(&rival.ranks));
            if field.racing.len() < MOST && total + price + worst <= 0.0 {
                (total, largest) = (total + price, worst);
                field.enter(rival);
                field.evaluate_from.push(cut);
            } else if is_balanced(&rival) {
                field.list(rival, NO_PLACE);
            }
        }
    }
}

/// Whether the laws brought a candidate in.
pub(super) fn is_balanced(candidate: &Candidate) -> bool {
    candidate.source == CandidateSource::Balanced
}
