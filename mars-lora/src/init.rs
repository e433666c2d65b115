//! First values of the factors, as PEFT draws them: A uniform in ±1/sqrt(inputs), B zero.
//!
//! PEFT calls `kaiming_uniform_(a = sqrt(5))` on A `[rank, inputs]`, whose bound is
//! sqrt(6 / ((1 + 5) * inputs)) = 1 / sqrt(inputs). The stream of numbers depends on the seed and the
//! layer's path alone, so an adapter starts equally in whatever stack it is trained, and the rows of a
//! small rank are the first rows of a large one.

use rand::Rng;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// A of shape `[rank, inputs]`, row-major.
pub(crate) fn a_values(seed: u64, path: &str, rank: usize, inputs: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(fnv1a(path));
    let bound = 1.0 / (inputs as f32).sqrt();
    (0..rank * inputs).map(|_| rng.random_range(-bound..bound)).collect()
}

/// 64-bit FNV-1a hash of a text.
fn fnv1a(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::a_values;

    #[test]
    fn small_rank_is_prefix_of_large_rank() {
        assert_eq!(a_values(3, "x.q", 2, 8), a_values(3, "x.q", 4, 8)[..16]);
        assert_ne!(a_values(3, "x.q", 2, 8), a_values(3, "x.k", 2, 8));
        assert_ne!(a_values(3, "x.q", 2, 8), a_values(4, "x.q", 2, 8));
    }

    #[test]
    fn bounds_and_variance_are_pefts() {
        let values = a_values(7, "layer", 64, 256);
        let bound = 1.0 / 16.0;
        assert!(values.iter().all(|v| v.abs() <= bound));
        let variance = values.iter().map(|v| f64::from(v * v)).sum::<f64>() / values.len() as f64;
        let expected = f64::from(bound).powi(2) / 3.0;
        assert!((variance / expected - 1.0).abs() < 0.05, "{variance} {expected}");
    }
}
