//! How often lengths occur, in bins of one width.

use serde::Serialize;

/// Most bins of a histogram.
const MOST: usize = 12;

/// One bin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bin {
    /// Smallest value in it.
    pub from: usize,
    /// Largest value in it.
    pub to: usize,
    /// Number of values in it.
    pub count: usize,
}

/// The histogram of `values` in at most 12 bins of equal width, 1, 2 or 5 times a power of ten; empty if there are
/// none.
///
/// Bins begin at multiples of their width; those between the first and the last are there even if nothing is in them.
pub fn histogram(values: &[usize]) -> Vec<Bin> {
    let (Some(&least), Some(&most)) = (values.iter().min(), values.iter().max()) else { return Vec::new() };
    let bins = |width: usize| (most / width - least / width).saturating_add(1);
    let steps = (0..)
        .flat_map(|power| [1, 2, 5].map(|step: usize| step.saturating_mul(10usize.saturating_pow(power))));
    let width = steps.into_iter().find(|width| bins(*width) <= MOST).unwrap_or(usize::MAX);
    let first = least / width;
    let bin = |k: usize| {
        let from = (first + k) * width;
        Bin { from, to: from.saturating_add(width - 1), count: 0 }
    };
    let mut all: Vec<Bin> = (0..bins(width)).map(bin).collect();
    for value in values {
        all[value / width - first].count += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_cover_every_value_once_and_are_few_and_equally_wide() {
        let cases: [&[usize]; 7] = [
            &[0],
            &[7; 9],
            &[0, usize::MAX],
            &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
            &[1, 13],
            &[99, 100, 101, 1000],
            &[81_234, 90, 17, 2_000],
        ];
        for values in cases {
            let bins = histogram(values);
            assert!((1..=MOST).contains(&bins.len()), "{bins:?}");
            for bin in &bins {
                let inside = values.iter().filter(|value| (bin.from..=bin.to).contains(value)).count();
                assert_eq!(bin.count, inside, "{bin:?}");
            }
            assert_eq!(bins.iter().map(|bin| bin.count).sum::<usize>(), values.len());
            assert!(bins.windows(2).all(|pair| pair[1].from == pair[0].to + 1), "{bins:?}");
            assert!(bins[0].count > 0 && bins[bins.len() - 1].count > 0, "{bins:?}");
        }
        assert_eq!(histogram(&[1, 13]).len(), 7, "13 values make more than 12 bins of width 1");
        assert!(histogram(&[]).is_empty());
    }
}
