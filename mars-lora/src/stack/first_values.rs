//! First values of the factors, as PEFT draws them.
//!
//! The stream of numbers depends on the seed and the layer's path alone, so an adapter starts equally in
//! whatever stack it is trained, and the rows of a small rank are the first rows of a large one (up to the
//! factor by which [`Init::Gaussian`] depends on the rank).

use crate::{Factors, Init, Site, SiteKind};
use rand::Rng;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// The factors of `site` under `init`, for [`Init::Pissa`] and [`Init::Eva`] those of [`Init::Uniform`].
///
/// An embedding has a zero A and a standard normal B, whatever `init`, as in PEFT.
/// [`Init::Uniform`]: A uniform in ±1/sqrt(inputs), which is PEFT's `kaiming_uniform_` with `a = sqrt(5)`, and
/// B zero. [`Init::Gaussian`]: A normal with standard deviation 1 / rank, B zero.
pub(crate) fn factors(init: Init, seed: u64, site: &Site, rank: usize) -> Factors {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(fnv1a(&site.path));
    let (inputs, outputs) = (site.inputs, site.outputs);
    let mut normal = |count, size: f32| (0..count).map(|_| size * sample(&mut rng)).collect::<Vec<f32>>();
    let (a, b) = match (site.kind, init) {
        (SiteKind::Embedding, _) => (vec![0.0; rank * inputs], normal(outputs * rank, 1.0)),
        (_, Init::Gaussian) => (normal(rank * inputs, 1.0 / rank as f32), vec![0.0; outputs * rank]),
        (_, Init::Uniform | Init::Pissa | Init::Eva) => {
            (uniform(&mut rng, rank, inputs), vec![0.0; outputs * rank])
        }
    };
    Factors { path: site.path.clone(), rank, inputs, outputs, a, b, magnitude: None }
}

/// `[rows, inputs]`, uniform in ±1/sqrt(inputs).
fn uniform(rng: &mut impl Rng, rows: usize, inputs: usize) -> Vec<f32> {
    let bound = 1.0 / (inputs as f32).sqrt();
    (0..rows * inputs).map(|_| rng.random_range(-bound..bound)).collect()
}

fn sample(rng: &mut impl Rng) -> f32 {
    StandardNormal.sample(rng)
}

/// 64-bit FNV-1a hash of a text.
pub(crate) fn fnv1a(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::factors;
    use crate::{Init, Site};

    fn a(init: Init, seed: u64, path: &str, rank: usize, inputs: usize) -> Vec<f32> {
        factors(init, seed, &Site::linear(path, "llm", inputs, 8), rank).a
    }

    #[test]
    fn small_rank_is_prefix_of_large_rank() {
        let a = |seed, path, rank| a(Init::Uniform, seed, path, rank, 8);
        assert_eq!(a(3, "x.q", 2), a(3, "x.q", 4)[..16]);
        assert_ne!(a(3, "x.q", 2), a(3, "x.k", 2));
        assert_ne!(a(3, "x.q", 2), a(4, "x.q", 2));
    }

    #[test]
    fn bounds_and_variances_are_pefts() {
        let moment =
            |values: &[f32]| values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / values.len() as f64;
        let uniform = a(Init::Uniform, 7, "layer", 64, 256);
        let bound = 1.0 / 16.0;
        assert!(uniform.iter().all(|v| v.abs() <= bound));
        let ratio = moment(&uniform) / (f64::from(bound).powi(2) / 3.0);
        assert!((ratio - 1.0).abs() < 0.05, "{ratio}");
        let ratio = moment(&a(Init::Gaussian, 7, "layer", 64, 256)) * 64.0 * 64.0;
        assert!((ratio - 1.0).abs() < 0.05, "{ratio}");
    }
}
