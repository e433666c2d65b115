//! The factors of one site on the device, and their forward pass.
//!
//! Members of a band share shapes: n adapters, N rows each, rank R. With a PiSSA offset the frozen
//! factors are further columns of the same products, A and A0 side by side and B above -B0, which costs twice
//! the rank.

use super::band::Band;
use super::layout::Slot;
use crate::{AdapterConfig, Init, LoraLinear, ops};
use burn::tensor::{Int, Tensor, TensorData};
use rand::RngCore;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use std::ops::Range;

/// The factors of all adapters at one site.
#[derive(Clone, Debug)]
pub(crate) struct SiteFactors {
    pub(crate) bands: Vec<BandFactors>,
    /// Stream of the dropout's numbers.
    pub(crate) stream: u64,
}

/// Factors of one band: A `[n, R, inputs]` and B `[n, R, outputs]`.
#[derive(Clone, Debug)]
pub(crate) struct BandFactors {
    pub(crate) members: Range<usize>,
    pub(crate) a: Tensor<3>,
    pub(crate) b: Tensor<3>,
    /// `[n, 1, outputs]`, of DoRA bands.
    pub(crate) magnitude: Option<Tensor<3>>,
    /// Frozen factors whose product is subtracted, in the same shapes.
    offset: Option<(Tensor<3>, Tensor<3>)>,
    scale: Scale,
    /// Of each member.
    scales: Vec<f32>,
    dropout: Vec<f64>,
}

/// Scales of a band.
/// `s` of each member; one number where all are equal, which saves a tensor.
#[derive(Clone, Debug)]
enum Scale {
    Same(f64),
    /// `[n, 1, 1]`.
    Each(Box<Tensor<3>>),
}

impl Scale {
    fn of(&self, x: Tensor<3>) -> Tensor<3> {
        match self {
            Self::Same(scale) => x.mul_scalar(*scale),
            Self::Each(scales) => x * (**scales).clone(),
        }
    }
}

impl BandFactors {
    /// The factors of `band` in the flat rows `[K, P]`; `scales` are those of its members.
    pub(crate) fn new(
        band: &Band,
        slot: &Slot,
        flat: &Tensor<2>,
        offset: Option<&Tensor<2>>,
        scales: &[f64],
        configs: &[AdapterConfig],
    ) -> Self {
        let count = band.members.len();
        let part = |rows: &Tensor<2>, place: Range<usize>, height: usize, width: usize| {
            rows.clone().slice([band.members.clone(), place]).reshape([count, height, width])
        };
        let a = |rows: &Tensor<2>| part(rows, slot.a(band.rank), band.rank, slot.inputs);
        let b = |rows: &Tensor<2>| part(rows, slot.b(band.rank), band.rank, slot.outputs);
        let scale = if scales.iter().all(|s| *s == scales[0]) {
            Scale::Same(scales[0])
        } else {
            let data: Vec<f32> = scales.iter().map(|s| *s as f32).collect();
            Scale::Each(Box::new(Tensor::from_data(TensorData::new(data, [count, 1, 1]), &flat.device())))
        };
        Self {
            members: band.members.clone(),
            a: a(flat),
            b: b(flat),
            magnitude: band.dora.then(|| part(flat, slot.magnitude(), 1, slot.outputs)),
            offset: offset
                .filter(|_| configs[band.members.start].init == Init::Pissa)
                .map(|rows| (a(rows), b(rows))),
            scale,
            scales: scales.iter().map(|scale| *scale as f32).collect(),
            dropout: configs[band.members.clone()].iter().map(|config| config.dropout).collect(),
        }
    }

    /// The same with factors that collect gradients.
    pub(crate) fn track(&mut self) {
        let leaf = |x: &Tensor<3>| x.clone().autodiff().require_grad();
        (self.a, self.b) = (leaf(&self.a), leaf(&self.b));
        self.magnitude = self.magnitude.as_ref().map(leaf);
    }

    /// The scale of a band that adds `scale (x A) B` and nothing else, the same for all members.
    pub(crate) fn plain(&self) -> Option<f64> {
        match self.scale {
            Scale::Same(scale) if self.is_plain() => Some(scale),
            _ => None,
        }
    }

    /// The factors of a band that adds `scale (x A) B` and nothing else.
    pub(crate) fn low_rank(&self) -> Option<ops::LowRank> {
        self.is_plain().then(|| ops::LowRank {
            members: self.members.clone(),
            scales: self.scales.clone(),
            a: self.a.clone(),
            b: self.b.clone(),
        })
    }

    fn is_plain(&self) -> bool {
        self.magnitude.is_none() && self.offset.is_none()
    }

    /// Whether some member drops inputs in training.
    pub(crate) fn drops(&self) -> bool {
        self.dropout.iter().any(|p| *p > 0.0)
    }

    /// All columns that `x` is multiplied with, `[n, inputs, R or 2 R]`.
    pub(crate) fn columns(&self) -> Tensor<3> {
        let a = match &self.offset {
            Some((frozen, _)) => Tensor::cat(vec![self.a.clone(), frozen.clone()], 1),
            None => self.a.clone(),
        };
        a.swap_dims(1, 2)
    }

    /// The product of `x` with [`columns`](Self::columns) where A reads `dropped`: the offset is part of the base, as in PEFT,
    /// and reads what was not dropped.
    pub(crate) fn dropped_low(&self, dropped: Tensor<3>, x: Tensor<3>) -> Tensor<3> {
        let low = ops::matmul(dropped, self.a.clone().swap_dims(1, 2));
        match &self.offset {
            Some((frozen, _)) => Tensor::cat(vec![low, ops::matmul(x, frozen.clone().swap_dims(1, 2))], 2),
            None => low,
        }
    }

    /// Rows of A (and of the offset's) that belong to `ids` `[n * N]`, `[n, N, R or 2 R]`.
    pub(crate) fn look_up(&self, ids: Tensor<1, Int>) -> Tensor<3> {
        let columns = self.columns();
        let [count, vocabulary, width] = columns.dims();
        let positions = ids.dims()[0] / count;
        let device = ids.device();
        let starts: Vec<i32> = (0..count).map(|k| (k * vocabulary) as i32).collect();
        let starts = Tensor::<2, Int>::from_data(TensorData::new(starts, [count, 1]), &device);
        let places = (ids.reshape([count, positions]) + starts).reshape([count * positions]);
        let table = columns.reshape([count * vocabulary, width]);
        table.select(0, places).reshape([count, positions, width])
    }

    /// `s * B (low)`, less the offset; `low` is `[n, N, R or 2 R]`, the result `[n, N, outputs]`.
    pub(crate) fn expand(&self, low: Tensor<3>) -> Tensor<3> {
        let b = match &self.offset {
            Some((_, frozen)) => Tensor::cat(vec![self.b.clone(), frozen.clone().neg()], 1),
            None => self.b.clone(),
        };
        ops::matmul(self.scale.of(low), b)
    }

    /// `m / ||W + s B A||` for each output, `[n, 1, outputs]`; the norm is a constant to the gradient, as in the
    /// DoRA paper (section 4.3) and PEFT. `layer` has W.
    ///
    /// The product B A is not formed: with rows w of W and b of B,
    /// ||w + s b A||^2 = ||w||^2 + 2 s <b, w A^T> + s^2 b (A A^T) b^T.
    pub(crate) fn gain(&self, layer: &LoraLinear) -> Option<Tensor<3>> {
        let magnitude = self.magnitude.clone()?;
        let (a, b) = (self.a.clone().without_autodiff(), self.b.clone().without_autodiff());
        let scaled = self.scale.of(b.clone());
        let (cross, squares) = layer.products_and_squares(a.clone());
        let cross = (cross * scaled.clone()).sum_dim(1);
        let gram = a.clone().matmul(a.swap_dims(1, 2));
        let square = (gram.matmul(scaled.clone()) * scaled).sum_dim(1);
        let norm = (squares + cross.mul_scalar(2.0) + square).sqrt();
        Some(magnitude / norm)
    }

    /// Zeroes inputs `[n, N, inputs]` at random and scales the others up. The draws of a member depend on its own
    /// number in `draws` and on `stream` alone.
    /// Each input is dropped with probability `round(65536 p) / 65536`; what stays is divided by one less that
    /// probability, so the expectation is x. The mask is drawn on the host, input by input in row-major order.
    pub(crate) fn drop(&self, x: Tensor<3>, draws: &[u64], stream: u64) -> Tensor<3> {
        let [count, rows, inputs] = x.dims();
        let mut mask = Vec::with_capacity(count * rows * inputs);
        for (p, draw) in self.dropout.iter().zip(&draws[self.members.clone()]) {
            let mut rng = ChaCha8Rng::seed_from_u64(*draw);
            rng.set_stream(stream);
            // 16 random bits for each input: the probability is right to one part in 65,536.
            let threshold = (p * 65_536.0).round() as u32;
            let kept = (1.0 / (1.0 - f64::from(threshold) / 65_536.0)) as f32;
            let mut left = rows * inputs;
            while left > 0 {
                let word = rng.next_u64();
                for part in (0..4.min(left)).map(|i| (word >> (16 * i)) as u16) {
                    mask.push(if u32::from(part) < threshold { 0.0 } else { kept });
                }
                left -= 4.min(left);
            }
        }
        let mask = TensorData::new(mask, [count, rows, inputs]);
        x.clone() * Tensor::from_data(mask, &x.device().without_autodiff())
    }
}
