//! Activations `x sigmoid(linear x + cubic x^3)`, alone and as a gate.

use super::{TASK, exp, tasks, values};
use pulp::Arch;

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
    values(
        out,
        [x],
        #[inline(always)]
        |out, [x]| {
            for (out, x) in out.iter_mut().zip(x) {
                *out = at(*x, form)[0];
            }
        },
    );
}

/// Turns the gradient of [`swish`] into that of `x`.
pub(in crate::ops) fn swish_slope(x: &[f32], grad: &mut [f32], form: [f32; 2]) {
    values(
        grad,
        [x],
        #[inline(always)]
        |grad, [x]| {
            for (g, x) in grad.iter_mut().zip(x) {
                *g *= at(*x, form)[1];
            }
        },
    );
}

/// `swish(gate) * up`.
pub(in crate::ops) fn swish_gate(gate: &[f32], up: &[f32], out: &mut [f32], form: [f32; 2]) {
    values(
        out,
        [gate, up],
        #[inline(always)]
        |out, [gate, up]| {
            for (out, (gate, up)) in out.iter_mut().zip(gate.iter().zip(up)) {
                *out = at(*gate, form)[0] * up;
            }
        },
    );
}

/// Turns the gradient of [`swish_gate`] into that of `gate`, and gives that of `up`.
pub(in crate::ops) fn swish_gate_slopes(
    gate: &[f32],
    up: &[f32],
    grad: &mut [f32],
    of_up: &mut [f32],
    form: [f32; 2],
) {
    values(
        of_up,
        [gate, &*grad],
        #[inline(always)]
        |out, [gate, grad]| {
            for (out, (gate, g)) in out.iter_mut().zip(gate.iter().zip(grad)) {
                *out = g * at(*gate, form)[0];
            }
        },
    );
    values(
        grad,
        [gate, up],
        #[inline(always)]
        |grad, [gate, up]| {
            for (g, (gate, up)) in grad.iter_mut().zip(gate.iter().zip(up)) {
                *g *= up * at(*gate, form)[1];
            }
        },
    );
}

/// [`swish_gate`] of rows of `width` that have gate and up side by side.
pub(in crate::ops) fn gate_rows(width: usize, x: &[f32], form: [f32; 2]) -> Vec<f32> {
    let half = (width / 2).max(1);
    let mut out = vec![0.0; x.len() / 2];
    let arch = Arch::new();
    let size = (TASK / half).max(1) * half;
    tasks(&mut out, size, |task, out| {
        let x = &x[2 * task * size..][..2 * out.len()];
        arch.dispatch(
            #[inline(always)]
            || {
                for (out, row) in out.chunks_exact_mut(half).zip(x.chunks_exact(2 * half)) {
                    let (gate, up) = row.split_at(half);
                    for (out, (gate, up)) in out.iter_mut().zip(gate.iter().zip(up)) {
                        *out = at(*gate, form)[0] * up;
                    }
                }
            },
        );
    });
    out
}

/// The gradient of the rows of [`gate_rows`] from that of its result.
pub(in crate::ops) fn gate_rows_slope(width: usize, x: &[f32], grad: &[f32], form: [f32; 2]) -> Vec<f32> {
    let half = (width / 2).max(1);
    let mut out = vec![0.0; x.len()];
    let arch = Arch::new();
    let size = (TASK / half).max(1) * 2 * half;
    tasks(&mut out, size, |task, out| {
        let x = &x[task * size..][..out.len()];
        let grad = &grad[task * size / 2..][..out.len() / 2];
        arch.dispatch(
            #[inline(always)]
            || {
                let rows = out.chunks_exact_mut(2 * half).zip(x.chunks_exact(2 * half));
                for ((out, row), grad) in rows.zip(grad.chunks_exact(half)) {
                    let (gate, up) = row.split_at(half);
                    let (of_gate, of_up) = out.split_at_mut(half);
                    for i in 0..half {
                        let [value, slope] = at(gate[i], form);
                        of_gate[i] = grad[i] * up[i] * slope;
                        of_up[i] = grad[i] * value;
                    }
                }
            },
        );
    });
    out
}
