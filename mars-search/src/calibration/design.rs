//! Which alone runs a calibration does: the full design of the plan, and smaller ones for a smaller budget.
//!
//! With a window (see [`CalibrationPlan::window`](crate::CalibrationPlan::window)) the exponent of the rank comes from the first steps of
//! several ranks at one size, since it hardly depends on the size (measured), and the exponent of the size from the
//! convergence of the highest rank at every size. So the lower ranks are trained at the largest size only.

use crate::{Budget, CalibrationPlan, Role, Space, records::Draft};
use mars_laws::Ranks;

/// Ranks and sizes of alone runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Design {
    /// Ascending.
    pub(crate) ranks: Vec<usize>,
    /// Ascending, in samples.
    pub(crate) sizes: Vec<usize>,
}

impl Design {
    /// Everything that the plan holds.
    pub(crate) fn full(plan: &CalibrationPlan) -> Self {
        let (mut ranks, mut sizes) = (plan.ranks.clone(), plan.sizes.clone());
        ranks.sort_unstable();
        sizes.sort_unstable();
        Self { ranks, sizes }
    }

    /// The designs of a plan with a window, the most informative first: all ranks, three or the two ends; all sizes or the
    /// largest. Without a window, the full design.
    pub(crate) fn all(plan: &CalibrationPlan) -> Vec<Self> {
        let full = Self::full(plan);
        if plan.window.is_none() {
            return vec![full];
        }
        let [all, three, ends] = [usize::MAX, 3, 2].map(|most| thinned(&full.ranks, most));
        let largest = full.sizes.last().copied().into_iter().collect::<Vec<_>>();
        let mut designs = Vec::new();
        for (ranks, sizes) in [
            (&all, &full.sizes),
            (&three, &full.sizes),
            (&all, &largest),
            (&three, &largest),
            (&ends, &full.sizes),
            (&ends, &largest),
        ] {
            let design = Self { ranks: ranks.clone(), sizes: sizes.clone() };
            if !designs.contains(&design) {
                designs.push(design);
            }
        }
        designs
    }

    /// Its runs: every module alone at every rank, size and seed; with a window, at the lower ranks for the largest size and
    /// up to the window only. All other modules are frozen without adapters.
    pub(crate) fn runs(&self, space: &Space, budget: &Budget) -> Vec<Draft> {
        let plan = &budget.calibration;
        let (highest, largest) = (self.ranks.last(), self.sizes.last());
        let mut drafts = Vec::new();
        for module in &space.modules {
            for samples in &self.sizes {
                for rank in &self.ranks {
                    let lower = plan.window.filter(|_| Some(rank) != highest);
                    if lower.is_some() && Some(samples) != largest {
                        continue;
                    }
                    let ranks = Ranks::new().with(module.as_str(), *rank);
                    drafts.extend(plan.seeds.iter().map(|&seed| Draft {
                        role: Role::Alone,
                        ranks: ranks.clone(),
                        samples: *samples,
                        seed,
                        steps: lower.unwrap_or(plan.steps),
                        horizon: plan.steps,
                        evaluate_from: 0,
                        stop_when_converged: plan.window.is_some() && lower.is_none(),
                        continues: None,
                        method: None,
                    }));
                }
            }
        }
        drafts
    }
}

/// `most` of the ascending `ranks`, the ends among them and the others as evenly spread over log2 as can be.
fn thinned(ranks: &[usize], most: usize) -> Vec<usize> {
    let (Some(&low), Some(&high)) = (ranks.first(), ranks.last()) else { return Vec::new() };
    if ranks.len() <= most {
        return ranks.to_vec();
    }
    if most < 3 {
        return vec![low, high];
    }
    let middle = ((low as f64).log2() + (high as f64).log2()) / 2.0;
    let inner = ranks[1..ranks.len() - 1].iter().copied();
    let away = |rank: &usize| ((*rank as f64).log2() - middle).abs();
    let nearest = inner.min_by(|a, b| away(a).total_cmp(&away(b)));
    [Some(low), nearest, Some(high)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::Design;
    use crate::{Budget, CalibrationPlan, Space};

    fn plan(window: Option<usize>) -> CalibrationPlan {
        let plan = Budget::new(2000, 4096, 16).calibration;
        CalibrationPlan { ranks: vec![4, 8, 16, 32], sizes: vec![256, 1024], steps: 200, window, ..plan }
    }

    #[test]
    fn with_a_window_lower_ranks_are_short_and_at_the_largest_size() {
        let budget = Budget { calibration: plan(Some(64)), ..Budget::new(2000, 4096, 16) };
        let space = Space::new(["ve", "llm"], "llm", &[4, 8, 16, 32]);
        let runs = Design::full(&budget.calibration).runs(&space, &budget);
        let of = |run: &&crate::records::Draft| run.ranks.get("ve") > 0;
        let own: Vec<_> =
            runs.iter().filter(of).map(|run| (run.ranks.get("ve"), run.samples, run.steps)).collect();
        assert_eq!(own, [(32, 256, 200), (4, 1024, 64), (8, 1024, 64), (16, 1024, 64), (32, 1024, 200)]);
        assert!(runs.iter().all(|run| run.stop_when_converged == (run.steps == 200) && run.horizon == 200));
        assert_eq!(runs.len(), 10);
    }

    #[test]
    fn designs_shrink_and_always_hold_two_ranks() {
        let steps = |design: &Design| {
            let budget = Budget { calibration: plan(Some(64)), ..Budget::new(2000, 4096, 16) };
            let space = Space::new(["ve", "llm"], "llm", &[4, 8, 16, 32]);
            design.runs(&space, &budget).iter().map(|run| run.steps).sum::<usize>()
        };
        let designs = Design::all(&plan(Some(64)));
        assert!(designs.len() == 6 && designs.iter().all(|design| design.ranks.len() > 1));
        assert_eq!(designs.iter().map(steps).max(), Some(steps(&designs[0])));
        assert_eq!(designs.iter().map(steps).min(), Some(steps(&designs[5])));
        assert_eq!(Design::all(&plan(None)), [Design::full(&plan(None))]);
        let three = &designs[1].ranks;
        assert!(three.len() == 3 && three[0] == 4 && three[2] == 32, "{three:?}");
    }
}
