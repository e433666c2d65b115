//! Balanced tuples from alone runs, as candidates for a race.

use super::{fitting, tuple};
use crate::{Budget, Candidate, DecisionOutcome, FittedLaws, Space, TrialResult};
use mars_laws::BalanceOptions;

/// What Law-C and the balance came to.
pub(crate) struct LineUp {
    /// Every tuple that was considered, each once; refused ones with the first reason.
    pub(crate) candidates: Vec<Candidate>,
    /// Those that are solved and pass the gates.
    pub(crate) solved: Vec<usize>,
    /// What the gates found, each once.
    pub(crate) faults: Vec<String>,
    /// Law-C of each module, or why it has none.
    pub(crate) laws: FittedLaws,
}

/// One balanced tuple for each rank of the reference module, through the gates.
pub(crate) fn line_up(
    space: &Space,
    budget: &Budget,
    alone: &[&TrialResult],
    options: &BalanceOptions,
) -> LineUp {
    let calibrated = fitting::law_c(space, budget, alone, fitting::Rule::Guarded);
    let mut line_up = LineUp {
        candidates: Vec::new(),
        solved: Vec::new(),
        faults: Vec::new(),
        laws: FittedLaws::default(),
    };
    for tuple in tuple::tuples(space, budget.samples, &calibrated, options, tuple::Gates::On) {
        for fault in tuple.faults {
            if !line_up.faults.contains(&fault) {
                line_up.faults.push(fault);
            }
        }
        // Every refused tuple stands for the default; one entry with the first reason is enough, and a balance that comes to
        // the default ranks takes its place.
        let refused = tuple.outcome == DecisionOutcome::Fallback;
        let known = line_up.candidates.iter().position(|other| other.ranks == tuple.candidate.ranks);
        let at = known.unwrap_or(line_up.candidates.len());
        match known {
            None => line_up.candidates.push(tuple.candidate),
            Some(_) if refused => continue,
            Some(at) => line_up.candidates[at] = tuple.candidate,
        }
        if tuple.outcome == DecisionOutcome::Solved {
            line_up.solved.push(at);
        }
    }
    line_up.laws = calibrated.laws;
    line_up
}
