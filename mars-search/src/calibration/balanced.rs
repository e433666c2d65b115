//! Balanced tuples from alone runs, as candidates for a race.

use super::{
    fitting,
    tuple::{self, Tuple},
};
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
        line_up.enter(tuple);
    }
    line_up.laws = calibrated.laws;
    line_up
}

impl LineUp {
    /// Takes a tuple in. Every refused one stands for the default: one entry with the first reason is enough, and a balance that
    /// comes to the default ranks takes its place.
    fn enter(&mut self, tuple: Tuple) {
        for fault in tuple.faults {
            if !self.faults.contains(&fault) {
                self.faults.push(fault);
            }
        }
        let known = self.candidates.iter().position(|other| other.ranks == tuple.candidate.ranks);
        let at = known.unwrap_or(self.candidates.len());
        match known {
            None => self.candidates.push(tuple.candidate),
            Some(_) if tuple.outcome == DecisionOutcome::Fallback => return,
            Some(at) => self.candidates[at] = tuple.candidate,
        }
        if tuple.outcome == DecisionOutcome::Solved {
            self.solved.push(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{LineUp, Tuple};
    use crate::{Candidate, CandidateSource, DecisionOutcome, FittedLaws};
    use DecisionOutcome::{Fallback, Solved};
    use mars_laws::Ranks;

    #[test]
    fn the_default_ranks_enter_once_and_solved_if_one_balance_comes_to_them() {
        let tuple = |llm: usize, outcome| Tuple {
            candidate: Candidate::new(
                Ranks::new().with("llm", llm).with("ve", 16),
                match outcome {
                    Fallback => CandidateSource::Default,
                    _ => CandidateSource::Balanced,
                },
            ),
            outcome,
            faults: if outcome == Fallback { vec!["wide".to_owned()] } else { Vec::new() },
        };
        let all = [tuple(16, Fallback), tuple(8, Solved), tuple(16, Solved), tuple(16, Fallback)];
        // Whatever the order of the ranks of the reference.
        for turn in 0..all.len() {
            let mut line_up =
                LineUp { candidates: vec![], solved: vec![], faults: vec![], laws: FittedLaws::default() };
            let mut turned = all.clone();
            turned.rotate_left(turn);
            turned.into_iter().for_each(|tuple| line_up.enter(tuple));
            assert_eq!(line_up.candidates.len(), 2, "{turn}");
            assert!(line_up.candidates.iter().all(|one| one.source == CandidateSource::Balanced), "{turn}");
            let mut solved = line_up.solved.clone();
            solved.sort_unstable();
            assert_eq!((solved, line_up.faults.len()), (vec![0, 1], 1), "{turn}");
        }
    }
}
