//! Sentences that several policies say.

use crate::{Candidate, Space};

/// ` 23 of the 25 rank choices of the grid were not tried.`, with the blank before it; empty where all were.
pub(super) fn untried(space: &Space, candidates: &[Candidate]) -> String {
    let ranks = |module: &String| space.ranks_of(module);
    let all = space.modules.iter().map(|module| ranks(module).len()).fold(1, usize::saturating_mul);
    let in_grid = |candidate: &&Candidate| {
        space.modules.iter().all(|module| ranks(module).contains(&candidate.ranks.get(module)))
    };
    let tried = candidates.iter().filter(|candidate| candidate.trial.is_some()).filter(in_grid).count();
    match all.saturating_sub(tried) {
        0 => String::new(),
        1 => format!(" One of the {all} rank choices of the grid was not tried."),
        left => format!(" {left} of the {all} rank choices of the grid were not tried."),
    }
}

#[cfg(test)]
mod tests {
    use super::untried;
    use crate::{Candidate, CandidateSource, Space};
    use mars_laws::Ranks;

    #[test]
    fn what_was_not_tried_is_counted() {
        let space = Space::new(["ve", "llm"], "llm", &[4, 8]);
        let tried = |ve, llm, trial| {
            let ranks = Ranks::new().with("ve", ve).with("llm", llm);
            Candidate { trial, ..Candidate::new(ranks, CandidateSource::Grid) }
        };
        let mut candidates = vec![tried(4, 4, Some(0)), tried(4, 8, None), tried(16, 16, Some(1))];
        assert_eq!(untried(&space, &candidates), " 3 of the 4 rank choices of the grid were not tried.");
        candidates.extend([tried(8, 4, Some(2)), tried(8, 8, Some(3))]);
        assert_eq!(untried(&space, &candidates), " One of the 4 rank choices of the grid was not tried.");
        candidates[1].trial = Some(4);
        assert_eq!(untried(&space, &candidates), "");
        let modules = (0..40).map(|i| format!("m{i}"));
        assert!(untried(&Space::new(modules, "m0", &[4, 8, 16, 32]), &[]).contains("rank choices"));
    }
}
