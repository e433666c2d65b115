//! The passes of runs that go through the model together.

/// A run in a stack.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    /// The step at which it begins.
    pub(super) from: usize,
    /// Its last step.
    pub(super) to: usize,
    /// Steps between its evaluations.
    pub(super) every: usize,
    /// Between step 0 and this one nothing is evaluated.
    pub(super) evaluate_from: usize,
    /// FLOPs of a step.
    pub(super) step: f64,
    /// FLOPs of an evaluation.
    pub(super) evaluation: f64,
}

impl Member {
    fn is_evaluated_at(&self, step: usize) -> bool {
        let on_grid = step.is_multiple_of(self.every.max(1)) && step >= self.evaluate_from;
        step <= self.to && (step == 0 || on_grid || step == self.to)
    }
}

/// Passes of a stack, as FLOPs of one and how many there are.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Passes {
    pub(super) steps: Vec<(f64, usize)>,
    pub(super) evaluations: Vec<(f64, usize)>,
}

impl Passes {
    /// Of `members`, which begin together; each leaves the stack at its end.
    pub(super) fn of(members: &[Member]) -> Self {
        let mut passes = Self::default();
        let Some(from) = members.iter().map(|member| member.from).min() else { return passes };
        let mut ends: Vec<usize> = members.iter().map(|member| member.to.max(from)).collect();
        ends.sort_unstable();
        ends.dedup();
        let mut begin = from;
        for end in ends {
            let live = || members.iter().filter(|member| member.to >= end);
            if end > begin {
                passes.steps.push((live().map(|member| member.step).sum(), end - begin));
            }
            let every = live().map(|member| member.every.max(1)).min().unwrap_or(1);
            let fresh = (begin == from && from == 0).then_some(0);
            let grid = (begin / every + 1..=end / every).map(|number| number * every);
            let last = Some(end).filter(|end| *end > begin && !end.is_multiple_of(every));
            for step in fresh.into_iter().chain(grid).chain(last) {
                let due = live().filter(|member| member.is_evaluated_at(step));
                let flops: f64 = due.map(|member| member.evaluation).sum();
                match passes.evaluations.last_mut() {
                    Some((same, count)) if *same == flops => *count += 1,
                    _ if flops > 0.0 => passes.evaluations.push((flops, 1)),
                    _ => {}
                }
            }
            begin = end;
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::{Member, Passes};

    const ONE: Member = Member { from: 0, to: 10, every: 4, evaluate_from: 0, step: 3.0, evaluation: 1.0 };

    #[test]
    fn a_run_alone_is_evaluated_at_its_ends_and_between() {
        let passes = Passes::of(&[ONE]);
        assert_eq!(passes, Passes { steps: vec![(3.0, 10)], evaluations: vec![(1.0, 4)] });
        let late = Passes::of(&[Member { evaluate_from: 8, ..ONE }]);
        assert_eq!(late.evaluations, [(1.0, 3)]);
        let on = Passes::of(&[Member { from: 4, ..ONE }]);
        assert_eq!(on, Passes { steps: vec![(3.0, 6)], evaluations: vec![(1.0, 2)] });
        assert_eq!(Passes::of(&[]), Passes::default());
    }

    #[test]
    fn a_stack_shrinks_as_its_runs_end() {
        let passes = Passes::of(&[ONE, Member { to: 6, step: 2.0, ..ONE }, Member { to: 6, ..ONE }]);
        assert_eq!(passes.steps, [(8.0, 6), (3.0, 4)]);
        // Steps 0 and 4 of all three, step 6 of the two that end there, steps 8 and 10 of the one that is left.
        assert_eq!(passes.evaluations, [(3.0, 2), (2.0, 1), (1.0, 2)]);
    }
}
