//! How many triplets may live at each step: a cubic descent between two plateaus.
//!
//! `budget(t) = last + (first - last) (1 - (t - warmup) / (steps - tail - warmup))^3`, rounded down, for steps
//! t between the plateaus (arXiv 2303.10512 and PEFT's `budget_schedule`). Counts are triplets over all layers.

/// The schedule: `first` triplets until `warmup`, `last` after `steps - tail`.
/// Phases and interval are in optimizer steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Schedule {
    pub(super) first: usize,
    pub(super) last: usize,
    pub(super) steps: usize,
    pub(super) warmup: usize,
    pub(super) tail: usize,
    pub(super) interval: usize,
}

impl Schedule {
    /// The step at which the mask is fixed.
    pub(super) fn fixed_from(&self) -> usize {
        self.steps - self.tail
    }

    /// The budget at `step` (counted from 1), and whether a mask is due.
    /// Up to `warmup` no mask is due; between the plateaus one is at each multiple of `interval`; in the last
    /// phase the fixed mask is applied at each step.
    pub(super) fn at(&self, step: usize) -> (usize, bool) {
        if step <= self.warmup {
            return (self.first, false);
        }
        if step > self.fixed_from() {
            return (self.last, true);
        }
        let length = (self.fixed_from() - self.warmup) as f64;
        let left = 1.0 - (step - self.warmup) as f64 / length;
        let (first, last) = (self.first as f64, self.last as f64);
        let budget = ((first - last) * left.powf(3.0) + last) as usize;
        (budget, step.is_multiple_of(self.interval))
    }
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    #[test]
    fn the_budget_falls_once_between_its_plateaus() {
        let schedule = Schedule { first: 120, last: 40, steps: 300, warmup: 50, tail: 70, interval: 7 };
        let budgets: Vec<usize> = (1..=320).map(|step| schedule.at(step).0).collect();
        assert!(budgets[..50].iter().all(|b| *b == 120));
        // The first step after the warm-up prunes, or the mask would have nothing to rank.
        assert!(budgets[50] < 120);
        assert!(budgets.windows(2).all(|pair| pair[0] >= pair[1]));
        assert!(budgets[229..].iter().all(|b| *b == 40));
        let due: Vec<usize> = (1..=230).filter(|step| schedule.at(*step).1).collect();
        assert_eq!(due, (56..=230).step_by(7).collect::<Vec<_>>());
        assert!((231..=320).all(|step| schedule.at(step).1));
    }

    #[test]
    fn the_descent_is_cubic() {
        let schedule = Schedule { first: 1000, last: 0, steps: 100, warmup: 0, tail: 0, interval: 1 };
        assert_eq!(schedule.at(50).0, 125);
        assert_eq!(schedule.at(90).0, 0);
        assert_eq!(schedule.at(1).0, 970);
    }
}
