//! Rotary positions in the "rotate half" form of Hugging Face checkpoints
//! (Su et al. 2021, arXiv 2104.09864; burn's own `RotaryEncoding` pairs neighbours instead).

use burn::tensor::{Device, Tensor, TensorData};

/// Cosines and sines of one sequence length, `[1, 1, S, W]`.
#[derive(Clone, Debug)]
pub(crate) struct Rope {
    cos: Tensor<4>,
    sin: Tensor<4>,
}

impl Rope {
    /// Angles `position * base^(-2 i / width)` for `positions` positions.
    pub(crate) fn new(positions: usize, width: usize, base: f64, device: &Device) -> Self {
        let angle = |p: usize, i: usize| p as f64 * base.powf(-2.0 * (i % (width / 2)) as f64 / width as f64);
        let table = |f: fn(f64) -> f64| -> Tensor<4> {
            let cells = (0..positions).flat_map(|p| (0..width).map(move |i| (p, i)));
            let values: Vec<f32> = cells.map(|(p, i)| f(angle(p, i)) as f32).collect();
            Tensor::from_data(TensorData::new(values, [1, 1, positions, width]), device)
        };
        Self { cos: table(f64::cos), sin: table(f64::sin) }
    }

    /// Rotates `x` `[B, H, S, W]`.
    pub(crate) fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        let half = x.dims()[3] / 2;
        let first = x.clone().narrow(3, 0, half);
        let second = x.clone().narrow(3, half, half);
        x * self.cos.clone() + Tensor::cat(vec![second.neg(), first], 3) * self.sin.clone()
    }
}
