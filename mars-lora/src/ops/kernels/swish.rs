//! Activations `x sigmoid(linear x + cubic x^3)`, alone and as a gate.

use super::{Row, exp, rows, values};

/// `1 / (1 + e^-x)`.
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// An activation and its derivative at one value.
/// `x s` and `s + x s (1 - s) (linear + 3 cubic x^2)` with `s = sigmoid(linear x + cubic x^3)`.
#[inline(always)]
fn at(x: f32, [linear, cubic]: [f32; 2]) -> [f32; 2] {
    // Beyond this every sigmoid is 0 or 1, and infinities would meet zeros.
    let square = x * x;
    let square = if square > 1e9 { 1e9 } else { square };
    let s = sigmoid(x * (linear + cubic * square));
    let slope = s + x * s * (1.0 - s) * (linear + 3.0 * cubic * square);
    let slope = if s < 1e-37 || s == 1.0 { s } else { slope };
    [x * s, slope]
}

/// `x * sigmoid(linear * x + cubic * x^3)`.
pub(in crate::ops) fn swish(x: &[f32], out: &mut [f32], form: [f32; 2]) {
    values(out, [x], &Value(form));
}

pub(super) struct Value(pub(super) [f32; 2]);

impl Row<1> for Value {
    #[inline(always)]
    fn row(&self, out: &mut [f32], [x]: [&[f32]; 1]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out = at(*x, self.0)[0];
        }
    }
}

/// Turns the gradient of [`swish`] into that of `x`.
pub(in crate::ops) fn swish_slope(x: &[f32], grad: &mut [f32], form: [f32; 2]) {
    values(grad, [x], &Slope(form));
}

pub(super) struct Slope(pub(super) [f32; 2]);

impl Row<1> for Slope {
    #[inline(always)]
    fn row(&self, grad: &mut [f32], [x]: [&[f32]; 1]) {
        for (g, x) in grad.iter_mut().zip(x) {
            *g *= at(*x, self.0)[1];
        }
    }
}

/// `swish(gate) * up`.
pub(in crate::ops) fn swish_gate(gate: &[f32], up: &[f32], out: &mut [f32], form: [f32; 2]) {
    values(out, [gate, up], &Product(form));
}

/// The activation of the first times the second.
pub(super) struct Product(pub(super) [f32; 2]);

impl Row<2> for Product {
    #[inline(always)]
    fn row(&self, out: &mut [f32], [gate, up]: [&[f32]; 2]) {
        for (out, (gate, up)) in out.iter_mut().zip(gate.iter().zip(up)) {
            *out = at(*gate, self.0)[0] * up;
        }
    }
}

/// Turns the gradient of [`swish_gate`] into that of `gate`, and gives that of `up`.
pub(in crate::ops) fn swish_gate_slopes(
    gate: &[f32],
    up: &[f32],
    grad: &mut [f32],
    of_up: &mut [f32],
    form: [f32; 2],
) {
    values(of_up, [gate, &*grad], &Product(form));
    values(grad, [gate, up], &GateSlope(form));
}

pub(super) struct GateSlope(pub(super) [f32; 2]);

impl Row<2> for GateSlope {
    #[inline(always)]
    fn row(&self, grad: &mut [f32], [gate, up]: [&[f32]; 2]) {
        for (g, (gate, up)) in grad.iter_mut().zip(gate.iter().zip(up)) {
            *g *= up * at(*gate, self.0)[1];
        }
    }
}

/// [`swish_gate`] of rows of `width` that have gate and up side by side.
pub(in crate::ops) fn gate_rows(width: usize, x: &[f32], form: [f32; 2]) -> Vec<f32> {
    let half = (width / 2).max(1);
    let mut out = vec![0.0; x.len() / 2];
    rows(&mut out, half, [(x, 2 * half)], &Beside(form));
    out
}

pub(super) struct Beside(pub(super) [f32; 2]);

impl Row<1> for Beside {
    #[inline(always)]
    fn row(&self, out: &mut [f32], [x]: [&[f32]; 1]) {
        let (gate, up) = x.split_at(out.len());
        Product(self.0).row(out, [gate, up]);
    }
}

/// The gradient of the rows of [`gate_rows`] from that of its result.
pub(in crate::ops) fn gate_rows_slope(width: usize, x: &[f32], grad: &[f32], form: [f32; 2]) -> Vec<f32> {
    let half = (width / 2).max(1);
    let mut out = vec![0.0; x.len()];
    rows(&mut out, 2 * half, [(x, 2 * half), (grad, half)], &BesideSlope(form));
    out
}

pub(super) struct BesideSlope(pub(super) [f32; 2]);

impl Row<2> for BesideSlope {
    #[inline(always)]
    fn row(&self, out: &mut [f32], [x, grad]: [&[f32]; 2]) {
        let half = grad.len();
        let ((gate, up), (of_gate, of_up)) = (x.split_at(half), out.split_at_mut(half));
        let (up, of_gate, of_up) = (&up[..half], &mut of_gate[..half], &mut of_up[..half]);
        for i in 0..half {
            let [value, slope] = at(gate[i], self.0);
            of_gate[i] = grad[i] * up[i] * slope;
            of_up[i] = grad[i] * value;
        }
    }
}
