//! Norms of rows.

use super::{Row, rows, sum};

/// Rows of mean 0 and variance 1, times `gamma` plus `beta` `[width]`.
pub(in crate::ops) fn layer_norm(x: &[f32], gamma: &[f32], beta: &[f32], out: &mut [f32], epsilon: f32) {
    let width = gamma.len();
    rows(out, width, [(x, width)], &LayerNorm { gamma, beta, epsilon });
}

pub(super) struct LayerNorm<'a> {
    pub(super) gamma: &'a [f32],
    pub(super) beta: &'a [f32],
    pub(super) epsilon: f32,
}

impl Row<1> for LayerNorm<'_> {
    #[inline(always)]
    fn row(&self, out: &mut [f32], [x]: [&[f32]; 1]) {
        let count = self.gamma.len() as f32;
        let mean = sum(x, x, |x, _| x) / count;
        let variance = sum(x, x, |x, _| (x - mean) * (x - mean)) / count;
        let scale = 1.0 / (variance + self.epsilon).sqrt();
        let affine = self.gamma.iter().zip(self.beta);
        for ((out, x), (gamma, beta)) in out.iter_mut().zip(x).zip(affine) {
            *out = (x - mean) * scale * gamma + beta;
        }
    }
}

/// Turns the gradient of a layer norm into that of its input, with `gamma` `[width]`.
/// With `h = g gamma`, `n` the normed row and `d = sqrt(variance + epsilon)`: `(h - mean(h) - n mean(h n)) /
/// d`, in place.
pub(in crate::ops) fn layer_norm_slope(x: &[f32], gamma: &[f32], grad: &mut [f32], epsilon: f32) {
    let width = gamma.len();
    rows(grad, width, [(x, width)], &LayerNormSlope { gamma, epsilon });
}

pub(super) struct LayerNormSlope<'a> {
    pub(super) gamma: &'a [f32],
    pub(super) epsilon: f32,
}

impl Row<1> for LayerNormSlope<'_> {
    #[inline(always)]
    fn row(&self, grad: &mut [f32], [x]: [&[f32]; 1]) {
        let count = self.gamma.len() as f32;
        let mean = sum(x, x, |x, _| x) / count;
        let variance = sum(x, x, |x, _| (x - mean) * (x - mean)) / count;
        let deviation = (variance + self.epsilon).sqrt();
        let scale = 1.0 / deviation;
        for (g, gamma) in grad.iter_mut().zip(self.gamma) {
            *g *= gamma;
        }
        let level = sum(grad, x, |h, _| h) / count;
        let along = sum(grad, x, |h, x| h * (x - mean)) * scale * scale / count;
        for (h, x) in grad.iter_mut().zip(x) {
            *h = (*h - level - (x - mean) * along) * scale;
        }
    }
}

/// Rows divided by the root of their mean square, times `gamma` `[width]`.
pub(in crate::ops) fn rms_norm(x: &[f32], gamma: &[f32], out: &mut [f32], epsilon: f32) {
    let width = gamma.len();
    rows(out, width, [(x, width)], &RmsNorm { gamma, epsilon });
}

pub(super) struct RmsNorm<'a> {
    pub(super) gamma: &'a [f32],
    pub(super) epsilon: f32,
}

impl Row<1> for RmsNorm<'_> {
    #[inline(always)]
    fn row(&self, out: &mut [f32], [x]: [&[f32]; 1]) {
        let count = self.gamma.len() as f32;
        let scale = 1.0 / (sum(x, x, |x, _| x * x) / count + self.epsilon).sqrt();
        for (out, (x, gamma)) in out.iter_mut().zip(x.iter().zip(self.gamma)) {
            *out = x * scale * gamma;
        }
    }
}

/// Turns the gradient of [`rms_norm`] into that of its input.
/// With `h = g gamma`, `n` the normed row and `r` its divisor: `(h - n mean(h n)) / r`, in place.
pub(in crate::ops) fn rms_norm_slope(x: &[f32], gamma: &[f32], grad: &mut [f32], epsilon: f32) {
    let width = gamma.len();
    rows(grad, width, [(x, width)], &RmsNormSlope { gamma, epsilon });
}

pub(super) struct RmsNormSlope<'a> {
    pub(super) gamma: &'a [f32],
    pub(super) epsilon: f32,
}

impl Row<1> for RmsNormSlope<'_> {
    #[inline(always)]
    fn row(&self, grad: &mut [f32], [x]: [&[f32]; 1]) {
        let count = self.gamma.len() as f32;
        let scale = 1.0 / (sum(x, x, |x, _| x * x) / count + self.epsilon).sqrt();
        for (g, gamma) in grad.iter_mut().zip(self.gamma) {
            *g *= gamma;
        }
        let along = sum(grad, x, |h, x| h * x) * scale * scale / count;
        for (h, x) in grad.iter_mut().zip(x) {
            *h = (*h - x * along) * scale;
        }
    }
}
