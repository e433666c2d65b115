//! Parameters from which to search.

use super::{Point, least_squares};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `start` and `count` seeded variations of it, each parameter times exp(u), u uniform in ±`spread`; signs stay.
///
/// A `spread` of 2.3 is a factor of 10 each way. A parameter of exactly 0 varies by u itself.
pub fn starts_around(start: &[f64], count: usize, spread: f64, seed: u64) -> Vec<Vec<f64>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut vary = |value: &f64| {
        let u = spread * (2.0 * rng.random::<f64>() - 1.0);
        if *value == 0.0 { u } else { value * u.exp() }
    };
    let varied: Vec<Vec<f64>> = (0..count).map(|_| start.iter().map(&mut vary).collect()).collect();
    [vec![start.to_vec()], varied].concat()
}

/// Factors (one for each term, then the constant) that minimise the weighted squares, each at least tiny,
/// after the squares they leave.
///
/// A term is a list of exponents, one for each input: prod x_i^e_i. With two or three factors every
/// set of factors held at zero is tried, which is exact.
pub(crate) fn best_factors(points: &[Point], terms: &[&Vec<f64>]) -> Option<(f64, Vec<f64>)> {
    let width = terms.len() + 1;
    let term = |exponents: &[f64], input: &[f64]| -> f64 {
        exponents.iter().zip(input).map(|(e, x)| e * x.ln()).sum::<f64>().exp()
    };
    let rows: Vec<Vec<f64>> =
        points.iter().map(|p| terms.iter().map(|t| term(t, &p.input)).chain([1.0]).collect()).collect();
    let values: Vec<f64> = points.iter().map(|p| p.value).collect();
    let roots: Vec<f64> = points.iter().map(|p| p.weight.sqrt()).collect();
    let mut best: Option<(f64, Vec<f64>)> = None;
    for kept in 1..1_usize << width {
        let columns: Vec<usize> = (0..width).filter(|j| kept >> j & 1 == 1).collect();
        let part: Vec<Vec<f64>> = rows.iter().map(|r| columns.iter().map(|j| r[*j]).collect()).collect();
        let Some(found) = least_squares(&part, &values, &roots) else { continue };
        if found.iter().any(|f| *f < 0.0) {
            continue;
        }
        let mut factors = vec![0.0; width];
        columns.iter().zip(found).for_each(|(j, f)| factors[*j] = f);
        let cost: f64 = rows
            .iter()
            .zip(&values)
            .zip(&roots)
            .map(|((row, value), root)| {
                let predicted: f64 = row.iter().zip(&factors).map(|(x, f)| x * f).sum();
                ((predicted - value) * root).powi(2)
            })
            .sum();
        if best.as_ref().is_none_or(|(least, _)| cost < *least) {
            best = Some((cost, factors));
        }
    }
    let (cost, mut factors) = best?;
    // A factor at exactly zero has no slope in its logarithm: give each term a thousandth of the values.
    let typical = values.iter().map(|v| v.abs()).sum::<f64>() / values.len() as f64;
    for (j, factor) in factors.iter_mut().enumerate() {
        let size = rows.iter().map(|r| r[j]).sum::<f64>() / rows.len() as f64;
        *factor = factor.max(1e-3 * typical / size.max(f64::MIN_POSITIVE));
    }
    factors.iter().all(|f| f.is_finite()).then_some((cost, factors))
}
