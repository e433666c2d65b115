//! Whole ranks in given proportions at a given parameter budget.

/// What may be allocated.
#[derive(Clone, Debug)]
pub(super) struct Limits {
    /// Parameters per unit of rank, for each site.
    pub(super) costs: Vec<usize>,
    /// Smallest rank of each site.
    pub(super) least: Vec<usize>,
    /// Largest rank of each site.
    pub(super) most: Vec<usize>,
    /// Parameters in all.
    pub(super) budget: usize,
}

/// Largest relative distance from the budget that is accepted.
const TOLERANCE: f64 = 0.01;

impl Limits {
    /// Parameters of `ranks`.
    pub(super) fn parameters(&self, ranks: &[usize]) -> usize {
        ranks.iter().zip(&self.costs).map(|(rank, cost)| rank * cost).sum()
    }

    /// Ranks as near to the proportions of `wanted` (positive numbers) as the budget allows; `None` if no such whole ranks
    /// within the limits come within 1 % of the budget.
    /// Finds by bisection the factor f with `sum_i cost_i clamp(f wanted_i, least_i, most_i) = budget`, rounds
    /// down, and gives what is left one rank at a time in the order of the fractions cut off. The rule is ours.
    pub(super) fn allocate(&self, wanted: &[f64]) -> Option<Vec<usize>> {
        let at = |factor: f64, site: usize| {
            (factor * wanted[site]).clamp(self.least[site] as f64, self.most[site] as f64)
        };
        let spent = |factor: f64| {
            (0..wanted.len()).map(|site| at(factor, site) * self.costs[site] as f64).sum::<f64>()
        };
        let (mut low, mut high) = (0.0, 1.0);
        while spent(high) < self.budget as f64 && high < 1e9 {
            high *= 2.0;
        }
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if spent(middle) < self.budget as f64 { low = middle } else { high = middle }
        }
        let exact: Vec<f64> = (0..wanted.len()).map(|site| at(high, site)).collect();
        let mut ranks: Vec<usize> = exact.iter().map(|rank| rank.floor() as usize).collect();
        // What rounding down has left goes where it has taken most.
        let mut order: Vec<usize> = (0..wanted.len()).collect();
        order.sort_by(|a, b| exact[*b].fract().total_cmp(&exact[*a].fract()));
        let mut left = self.budget.saturating_sub(self.parameters(&ranks));
        let mut given = true;
        while given {
            given = false;
            for site in &order {
                if self.costs[*site] <= left && ranks[*site] < self.most[*site] {
                    ranks[*site] += 1;
                    left -= self.costs[*site];
                    given = true;
                }
            }
        }
        let used = self.parameters(&ranks) as f64;
        ((used / self.budget as f64 - 1.0).abs() <= TOLERANCE).then_some(ranks)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::Limits;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_allocation_keeps_budget_and_limits(
            sites in proptest::collection::vec((100usize..900, 0.1f64..10.0), 16..60),
            uniform in 4usize..32,
        ) {
            let costs: Vec<usize> = sites.iter().map(|(cost, _)| *cost).collect();
            let wanted: Vec<f64> = sites.iter().map(|(_, weight)| *weight).collect();
            let budget = uniform * costs.iter().sum::<usize>();
            let count = costs.len();
            let limits = Limits { costs, least: vec![2; count], most: vec![4 * uniform; count], budget };
            let ranks = limits.allocate(&wanted).unwrap();
            let used = limits.parameters(&ranks) as f64 / budget as f64;
            prop_assert!((0.99..=1.0).contains(&used), "{}", used);
            prop_assert!(ranks.iter().all(|r| (2..=4 * uniform).contains(r)));
            // More is wanted, no less is given, up to a rank of rounding.
            for i in 0..count {
                for j in 0..count {
                    prop_assert!(wanted[i] <= wanted[j] || ranks[i] + 3 >= ranks[j]);
                }
            }
        }
    }

    #[test]
    fn equal_wishes_give_the_uniform_ranks() {
        let limits =
            Limits { costs: vec![30, 50, 70], least: vec![1; 3], most: vec![64; 3], budget: 8 * 150 };
        assert_eq!(limits.allocate(&[1.0; 3]).unwrap(), [8; 3]);
    }

    #[test]
    fn what_cannot_be_met_is_not_made() {
        let limits = Limits { costs: vec![100, 100], least: vec![1; 2], most: vec![4; 2], budget: 1000 };
        assert_eq!(limits.allocate(&[1.0, 1.0]), None);
    }
}
