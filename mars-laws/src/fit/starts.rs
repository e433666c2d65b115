//! Parameters from which to search.

use super::{Point, least_squares};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// `start` followed by `count` random variations of it, for [`FitOptions::starts`](crate::FitOptions::starts).
///
/// Each parameter is multiplied by exp(u), u uniform in [-`spread`, `spread`], so signs are kept; a `spread` of 2.3
/// is a factor of 10 each way. A parameter of exactly 0 becomes u itself. Equal seeds give equal starts.
pub fn starts_around(start: &[f64], count: usize, spread: f64, seed: u64) -> Vec<Vec<f64>> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut vary = |value: &f64| {
        let u = spread * (2.0 * rng.random::<f64>() - 1.0);
        if *value == 0.0 { u } else { value * u.exp() }
    };
    let varied: Vec<Vec<f64>> = (0..count).map(|_| start.iter().map(&mut vary).collect()).collect();
    [vec![start.to_vec()], varied].concat()
}

/// Non-negative factors that minimise the weighted squares of `sum_j factor_j prod_i x_i^e_ji + constant - value`:
/// the squares that remain, and the factors of the terms followed by the constant.
///
/// A term is a list of exponents e_j, one for each input. Every set of factors held at zero is tried, which is exact
/// and cheap for two or three factors. Factors of 0 are then raised to a small positive value.
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
