//! Layers in groups by one number each: k-means on a line.

/// The group of each value, 0 for the smallest values up to at most `count - 1`.
///
/// On a line the best groups are intervals of the sorted values, so the best partition is found exactly, by dynamic
/// programming over the sums of squared deviations (Wang and Song 2011).
pub(super) fn groups(values: &[f64], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let sorted: Vec<f64> = order.iter().map(|i| values[*i]).collect();
    let length = sorted.len();
    let cost = |from: usize, to: usize| {
        let part = &sorted[from..to];
        let mean = part.iter().sum::<f64>() / part.len() as f64;
        part.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
    };
    // best[g][end]: least cost of the first `end` values in g + 1 groups, and where the last of them begins.
    let mut best =
        vec![(0..=length).map(|end| (if end == 0 { 0.0 } else { cost(0, end) }, 0)).collect::<Vec<_>>()];
    for group in 1..count.min(length) {
        let before = &best[group - 1];
        let next = (0..=length).map(|end| {
            let starts = (0..end).map(|start| (before[start].0 + cost(start, end), start));
            starts.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or((0.0, 0))
        });
        let next = next.collect();
        best.push(next);
    }
    let mut of = vec![0; length];
    let mut end = length;
    for group in (0..best.len()).rev() {
        let start = if group == 0 { 0 } else { best[group][end].1 };
        order[start..end].iter().for_each(|i| of[*i] = group);
        end = start;
    }
    of
}

#[cfg(test)]
mod tests {
    use super::groups;

    #[test]
    fn three_clusters_are_found() {
        let values = [5.1, 0.1, 9.0, 0.2, 5.0, 4.9, 9.3, 0.15];
        assert_eq!(groups(&values, 3), [1, 0, 2, 0, 1, 1, 2, 0]);
        assert_eq!(groups(&values, 1), [0; 8]);
    }

    #[test]
    fn groups_are_intervals_and_beat_any_other_cut() {
        let values: Vec<f64> = (0..12).map(|i| ((i * 7 + 3) % 13) as f64 * ((i % 3) as f64 + 0.5)).collect();
        let found = groups(&values, 3);
        let cost = |of: &dyn Fn(usize) -> usize| -> f64 {
            (0..3)
                .map(|g| {
                    let part: Vec<f64> = (0..12).filter(|i| of(*i) == g).map(|i| values[i]).collect();
                    let mean = part.iter().sum::<f64>() / part.len().max(1) as f64;
                    part.iter().map(|v| (v - mean).powi(2)).sum::<f64>()
                })
                .sum()
        };
        let least = cost(&|i| found[i]);
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        for low in 0..12 {
            for high in low..12 {
                let of =
                    |i: usize| usize::from(values[i] >= sorted[low]) + usize::from(values[i] >= sorted[high]);
                assert!(least <= cost(&of) + 1e-9);
            }
        }
    }

    #[test]
    fn few_values_and_equal_values_are_no_trouble() {
        assert!(groups(&[], 3).is_empty());
        assert_eq!(groups(&[4.0], 3), [0]);
        assert_eq!(groups(&[4.0, 1.0], 3), [1, 0]);
        assert_eq!(groups(&[2.0; 4], 3).len(), 4);
    }
}
