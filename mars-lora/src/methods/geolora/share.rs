//! A common budget of singular values: the largest of all layers together are kept.
//!
//! Greedy, which is optimal here: it minimises the sum of squares of the singular values that are cut, at the
//! given total.

/// Ranks of layers whose singular values are `values` (each falling), such that `total` are kept in all.
///
/// Each layer keeps at least `min` and no more than `most` says; so more than `total` are kept only where the least ranks
/// alone are more.
pub(super) fn ranks(values: &[Vec<f64>], most: &[usize], min: usize, total: usize) -> Vec<usize> {
    let mut ranks: Vec<usize> =
        values.iter().zip(most).map(|(own, most)| min.min(*most).min(own.len())).collect();
    let left = total.saturating_sub(ranks.iter().sum());
    let mut all: Vec<(usize, f64)> = Vec::new();
    for (layer, own) in values.iter().enumerate() {
        let until = own.len().min(most[layer]);
        all.extend(own[ranks[layer]..until].iter().map(|value| (layer, *value)));
    }
    // A stable sort: among equals the earlier layer is first.
    all.sort_by(|a, b| b.1.total_cmp(&a.1));
    all.iter().take(left).for_each(|(layer, _)| ranks[*layer] += 1);
    ranks
}

#[cfg(test)]
mod tests {
    use super::ranks;

    #[test]
    fn the_largest_of_all_are_kept() {
        let values = [vec![9.0, 8.0, 0.1], vec![5.0, 0.2, 0.01], vec![7.0, 6.0, 4.0]];
        assert_eq!(ranks(&values, &[3; 3], 1, 6), [2, 1, 3]);
        assert_eq!(ranks(&values, &[3, 3, 2], 1, 6), [2, 2, 2]);
        assert_eq!(ranks(&values, &[3; 3], 2, 6), [2, 2, 2]);
        assert_eq!(ranks(&values, &[3; 3], 2, 3), [2, 2, 2]);
        assert_eq!(ranks(&values, &[3; 3], 1, 99), [3, 3, 3]);
        assert_eq!(ranks(&[vec![1.0], vec![1.0, 1.0]], &[9; 2], 0, 2), [1, 1]);
    }
}
