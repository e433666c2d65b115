//! Noise that repeats itself.

use mars_search::Trial;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A standard normal draw (Box-Muller) that depends on what the run is, not on its id or on what it continues.
pub(super) fn normal(trial: &Trial, salt: u64) -> f64 {
    let mut hash = DefaultHasher::new();
    (&trial.ranks, trial.samples, trial.seed, trial.horizon, salt).hash(&mut hash);
    let mut rng = ChaCha8Rng::seed_from_u64(hash.finish());
    let (radius, angle): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}
