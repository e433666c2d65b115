//! What attention holds beside what its block keeps: scores, which are the largest values where sequences are long, and rows.

use super::sizes::ModelSizes;
use burn::tensor::Device;
use mars_lora::ops::on_cpu;

/// In copies in f32 of the scores of all pairs, but for the last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ScoreCopies {
    /// What the graph keeps of them: the weights.
    pub(super) kept: f64,
    /// What exists beside that while they are computed.
    pub(super) forward: f64,
    /// What exists beside that while their gradient is computed.
    pub(super) backward: f64,
    /// How often gradients of queries, keys and values exist.
    pub(super) gradients: f64,
}

impl ScoreCopies {
    /// No scores on the CPU, where those of a few positions at a time are computed, twice; gradients by head and side by side.
    pub(super) const CPU: Self = Self { kept: 0.0, forward: 0.0, backward: 0.0, gradients: 2.0 };

    /// On GPUs the gradient of the softmax is a tensor of its own; with a base of fewer bits than f32 the graph keeps the weights a second
    /// time, in 16 bits, for their product with the values.
    pub(super) fn on(device: &Device, sizes: &ModelSizes) -> Self {
        if on_cpu(device) { Self::CPU } else { Self::on_gpu(sizes) }
    }

    fn on_gpu(sizes: &ModelSizes) -> Self {
        Self { kept: if sizes.narrow { 1.5 } else { 1.0 }, forward: 1.0, backward: 2.0, gradients: 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::{ModelSizes, ScoreCopies};

    #[test]
    fn gpus_hold_more_and_with_a_narrow_base_most() {
        let copies = |narrow| ScoreCopies::on_gpu(&ModelSizes { narrow, ..ModelSizes::default() });
        assert_eq!(copies(false), ScoreCopies { kept: 1.0, forward: 1.0, backward: 2.0, gradients: 1.0 });
        assert_eq!(copies(true), ScoreCopies { kept: 1.5, ..copies(false) });
    }
}
