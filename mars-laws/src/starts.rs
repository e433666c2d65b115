//! More places to search from, when one start is not enough.

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
