//! AdamW on the host, one tensor at a time, in PyTorch's order of operations.
//!
//! Loshchilov and Hutter 2019 (arXiv 1711.05101): decay the weights by `lr * weight_decay`, then subtract
//! `lr * m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon)`. Each tensor counts its own steps, so that one whose
//! coordinates have changed can start anew while the others go on.

use crate::AdamWConfig;

/// Adam's memory of one tensor.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Memory {
    steps: i32,
    first: Vec<f32>,
    second: Vec<f32>,
}

impl Memory {
    /// No step taken yet, `length` values.
    pub(super) fn new(length: usize) -> Self {
        Self { steps: 0, first: vec![0.0; length], second: vec![0.0; length] }
    }

    /// One step on `values` at learning rate `rate`; clipping is the caller's.
    pub(super) fn step(&mut self, config: &AdamWConfig, rate: f64, values: &mut [f32], gradient: &[f32]) {
        self.steps = self.steps.saturating_add(1);
        let keep = (1.0 - rate * config.weight_decay) as f32;
        let (beta1, beta2) = (config.beta1 as f32, config.beta2 as f32);
        let (rest1, rest2) = ((1.0 - config.beta1) as f32, (1.0 - config.beta2) as f32);
        let size = (rate / (1.0 - config.beta1.powi(self.steps))) as f32;
        let root = (1.0 - config.beta2.powi(self.steps)).sqrt() as f32;
        let epsilon = config.epsilon as f32;
        let memory = self.first.iter_mut().zip(&mut self.second);
        for ((value, gradient), (first, second)) in values.iter_mut().zip(gradient).zip(memory) {
            *value *= keep;
            *first = beta1 * *first + rest1 * gradient;
            *second = beta2 * *second + rest2 * gradient * gradient;
            *value -= size * *first / (second.sqrt() / root + epsilon);
        }
    }

    /// The same memory with other values appended or cut off in places that `map` describes: entry `i` of
    /// the new tensor was entry `map(i)`, or is new.
    pub(super) fn rearranged(&self, length: usize, map: impl Fn(usize) -> Option<usize>) -> Self {
        let take = |from: &[f32]| (0..length).map(|i| map(i).map_or(0.0, |j| from[j])).collect();
        Self { steps: self.steps, first: take(&self.first), second: take(&self.second) }
    }
}

/// Scales all gradients of a step down to the largest norm that `config` allows, as
/// `torch.nn.utils.clip_grad_norm_` does.
pub(super) fn clip<'a>(config: &AdamWConfig, gradients: impl IntoIterator<Item = &'a mut Vec<f32>>) {
    let Some(most) = config.clip_norm else { return };
    let mut gradients: Vec<_> = gradients.into_iter().collect();
    let square = |g: &f32| f64::from(*g) * f64::from(*g);
    let norm = gradients.iter().flat_map(|g| g.iter().map(square)).sum::<f64>().sqrt();
    let factor = (most / (norm + 1e-6)).min(1.0) as f32;
    gradients.iter_mut().flat_map(|g| g.iter_mut()).for_each(|g| *g *= factor);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_has_the_size_of_the_rate() {
        let config = AdamWConfig { weight_decay: 0.1, ..AdamWConfig::default() };
        let mut values = [1.0f32, -2.0];
        Memory::new(2).step(&config, 0.01, &mut values, &[3.0, -0.5]);
        // Decayed by 0.1 %, then one rate against the gradient's sign.
        assert!((values[0] - (0.999 - 0.01)).abs() < 1e-6, "{values:?}");
        assert!((values[1] - (-1.998 + 0.01)).abs() < 1e-6, "{values:?}");
    }

    #[test]
    fn clipping_is_of_the_norm_over_all_tensors() {
        let (mut a, mut b) = (vec![3.0f32], vec![0.0, 4.0]);
        clip(&AdamWConfig::default(), [&mut a, &mut b]);
        assert!((a[0] - 0.6).abs() < 1e-6 && (b[1] - 0.8).abs() < 1e-6);
        let small = (a.clone(), b.clone());
        clip(&AdamWConfig { clip_norm: Some(10.0), ..AdamWConfig::default() }, [&mut a, &mut b]);
        assert_eq!((a, b), small);
    }
}
