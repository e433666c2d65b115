//! Frozen layers over the same rows with low-rank factors, forward and backward, as tiles of products.

use super::divided_rows::{LARGE, ROWS, add, outer};
use super::tiles::{Panels, Term};
use rayon::prelude::*;

/// A frozen layer: weight `[inputs, outputs]` in the direction of the pass, where it is multiplied with, and bias `[outputs]`.
pub(super) struct Layer<'a> {
    pub(super) weight: Option<&'a Panels>,
    pub(super) outputs: usize,
    pub(super) bias: Option<&'a [f32]>,
}

/// Factors of one adapter at one layer: A `[rank, inputs]` and B `[rank, outputs]`.
pub(super) struct Factor<'a> {
    pub(super) layer: usize,
    pub(super) rank: usize,
    pub(super) scale: f32,
    pub(super) a: &'a [f32],
    pub(super) b: &'a [f32],
}

/// Gradients of A and B.
pub(super) type Slopes = (Vec<f32>, Vec<f32>);

/// Layers that read the same `x` `[rows, inputs]`, with the factors of each adapter, whose rows are together.
pub(super) struct Pass<'a> {
    pub(super) x: &'a [f32],
    pub(super) inputs: usize,
    pub(super) layers: Vec<Layer<'a>>,
    pub(super) members: Vec<Vec<Factor<'a>>>,
}

impl Pass<'_> {
    /// Outputs of all layers.
    pub(super) fn width(&self) -> usize {
        self.layers.iter().map(|layer| layer.outputs).sum()
    }

    /// Rows of each adapter.
    fn rows(&self) -> usize {
        self.x.len() / self.inputs.max(1) / self.members.len().max(1)
    }

    /// The first output of each layer.
    fn starts(&self) -> Vec<usize> {
        let ends = self.layers.iter().scan(0, |end, layer| {
            *end += layer.outputs;
            Some(*end - layer.outputs)
        });
        ends.collect()
    }

    /// Adds the outputs of all layers but for their biases side by side to `y` `[rows, width]`; `scale x A^T` of each adapter.
    pub(super) fn forward(&self, y: &mut [f32]) -> Vec<f32> {
        let parts = parts(y, self.rows() * self.width(), self.members.len());
        let mut lows = self.each(parts, |member, y| self.forward_of(member, y));
        if lows.len() == 1 { lows.swap_remove(0) } else { lows.concat() }
    }

    fn forward_of(&self, member: usize, y: &mut [f32]) -> Vec<f32> {
        let (rows, inputs, width) = (self.rows(), self.inputs, self.width());
        let (x, factors) = (&self.x[member * rows * inputs..][..rows * inputs], &self.members[member]);
        if rows == 0 {
            return Vec::new();
        }
        let low = self.low(x, factors);
        let rank = rank(factors);
        for ((index, layer), start) in self.layers.iter().enumerate().zip(self.starts()) {
            let mut terms: Vec<Term<'_>> =
                layer.weight.iter().map(|weight| Term::new(x, inputs, weight)).collect();
            let own = own(factors, index);
            let up = own
                .map(|(factor, _)| Panels::new().rows(factor.b, layer.outputs, [factor.rank, layer.outputs]));
            if let (Some((_, at)), Some(up)) = (own, &up) {
                terms.push(Term::new(&low[at..], rank, up));
            }
            add(y, (width, start), rows, &terms, layer.outputs);
        }
        low
    }

    /// What `each` gives for every adapter and its part of the results, on all threads where that is worth it.
    fn each<P: Send, R: Send>(&self, parts: Vec<P>, each: impl Fn(usize, P) -> R + Sync) -> Vec<R> {
        let values = self.rows() * self.members.len() * self.inputs.max(self.width());
        if parts.len() > 1 && values >= LARGE {
            return parts.into_par_iter().enumerate().map(|(member, part)| each(member, part)).collect();
        }
        parts.into_iter().enumerate().map(|(member, part)| each(member, part)).collect()
    }

    /// Results before anything is multiplied: the biases, added to `base` if there is one.
    pub(super) fn begin(&self, base: Option<&[f32]>) -> Vec<f32> {
        let rows = self.rows() * self.members.len();
        let Some(bias) = self.biases() else {
            return base.map_or_else(|| vec![0.0; rows * self.width()], <[f32]>::to_vec);
        };
        let mut y = Vec::with_capacity(rows * bias.len());
        match base {
            Some(base) => {
                for row in base.chunks_exact(bias.len().max(1)) {
                    y.extend(row.iter().zip(&bias).map(|(x, bias)| x + bias));
                }
            }
            None => (0..rows).for_each(|_| y.extend_from_slice(&bias)),
        }
        y
    }

    /// Adds the biases to `y` `[rows, width]`.
    pub(super) fn add_biases(&self, y: &mut [f32]) {
        let Some(bias) = self.biases() else { return };
        let (width, row) = (bias.len().max(1), |row: &mut [f32]| {
            row.iter_mut().zip(&bias).for_each(|(y, bias)| *y += bias);
        });
        match y.len() >= LARGE {
            true => y.par_chunks_exact_mut(width).with_min_len(ROWS).for_each(row),
            false => y.chunks_exact_mut(width).for_each(row),
        }
    }

    /// Of all layers side by side, if some have one.
    fn biases(&self) -> Option<Vec<f32>> {
        self.layers.iter().any(|layer| layer.bias.is_some()).then(|| {
            let mut bias = Vec::with_capacity(self.width());
            for layer in &self.layers {
                match layer.bias {
                    Some(own) => bias.extend_from_slice(own),
                    None => bias.extend(std::iter::repeat_n(0.0, layer.outputs)),
                }
            }
            bias
        })
    }

    /// `scale x A^T` of all layers side by side, `[rows, rank]`.
    fn low(&self, x: &[f32], factors: &[Factor<'_>]) -> Vec<f32> {
        let (rows, rank) = (self.rows(), rank(factors));
        let mut low = vec![0.0; rows * rank];
        if rank > 0 {
            let mut a = Vec::with_capacity(rank * self.inputs);
            factors.iter().for_each(|factor| a.extend(factor.a.iter().map(|a| a * factor.scale)));
            let down = Panels::new().columns(&a, self.inputs, [self.inputs, rank]);
            add(&mut low, (rank, 0), rows, &[Term::new(x, self.inputs, &down)], rank);
        }
        low
    }

    /// Gradients of `x`, if that is wanted, and of the factors of each adapter, from those of the outputs and from what
    /// [`forward`](Self::forward) gave.
    pub(super) fn backward(&self, grad: &[f32], lows: &[f32], of_x: bool) -> (Vec<f32>, Vec<Vec<Slopes>>) {
        let (rows, mut at) = (self.rows(), 0);
        let mut of_inputs = vec![0.0; if of_x { self.x.len() } else { 0 }];
        let size = if of_x { rows * self.inputs } else { 0 };
        let lows = self.members.iter().map(|factors| {
            let size = rows * rank(factors);
            at += size;
            &lows[at - size..at]
        });
        let parts = parts(&mut of_inputs, size, self.members.len()).into_iter().zip(lows).collect();
        let slopes =
            self.each(parts, |member, (out, low)| self.backward_of(member, grad, low, of_x.then_some(out)));
        (of_inputs, slopes)
    }

    /// Of an adapter; the gradient of its rows is added to `of_x`.
    fn backward_of(&self, member: usize, grad: &[f32], low: &[f32], of_x: Option<&mut [f32]>) -> Vec<Slopes> {
        let (rows, inputs, width) = (self.rows(), self.inputs, self.width());
        let (x, factors) = (&self.x[member * rows * inputs..][..rows * inputs], &self.members[member]);
        let grad = &grad[member * rows * width..][..rows * width];
        let (starts, rank) = (self.starts(), rank(factors));
        if rows == 0 {
            let zeros = |factor: &Factor<'_>, width: usize| vec![0.0; factor.rank * width];
            let of = |f: &Factor<'_>| (zeros(f, inputs), zeros(f, self.layers[f.layer].outputs));
            return factors.iter().map(of).collect();
        }
        let slope = self.low_slope(grad, factors, &starts);
        let slopes = self.factor_slopes(x, grad, (low, &slope), factors, &starts);
        if let Some(out) = of_x {
            let mut a = Vec::with_capacity(rank * inputs);
            factors.iter().for_each(|factor| a.extend_from_slice(factor.a));
            let down = Panels::new().rows(&a, inputs, [rank, inputs]);
            let layers = self.layers.iter().zip(&starts);
            let mut terms: Vec<Term<'_>> = layers
                .filter_map(|(layer, start)| Some(Term::new(&grad[*start..], width, layer.weight?)))
                .collect();
            if rank > 0 {
                terms.push(Term::new(&slope, rank, &down));
            }
            add(out, (inputs, 0), rows, &terms, inputs);
        }
        slopes
    }

    /// The gradient of `x A^T` of all layers side by side, `scale g B^T`.
    fn low_slope(&self, grad: &[f32], factors: &[Factor<'_>], starts: &[usize]) -> Vec<f32> {
        let (rows, rank, width) = (self.rows(), rank(factors), self.width());
        let mut slope = vec![0.0; rows * rank];
        let mut at = 0;
        for factor in factors {
            let outputs = self.layers[factor.layer].outputs;
            let b: Vec<f32> = factor.b.iter().map(|b| b * factor.scale).collect();
            let up = Panels::new().columns(&b, outputs, [outputs, factor.rank]);
            let term = Term::new(&grad[starts[factor.layer]..], width, &up);
            add(&mut slope, (rank, at), rows, &[term], factor.rank);
            at += factor.rank;
        }
        slope
    }

    fn factor_slopes(
        &self,
        x: &[f32],
        grad: &[f32],
        (low, slope): (&[f32], &[f32]),
        factors: &[Factor<'_>],
        starts: &[usize],
    ) -> Vec<Slopes> {
        let (rows, rank, inputs) = (self.rows(), rank(factors), self.inputs);
        let mut at = 0;
        let each = factors.iter().map(|factor| {
            let outputs = self.layers[factor.layer].outputs;
            let a = outer([factor.rank, inputs], (&slope[at..], rank), (x, inputs), rows);
            let right = (&grad[starts[factor.layer]..], self.width());
            let b = outer([factor.rank, outputs], (&low[at..], rank), right, rows);
            at += factor.rank;
            (a, b)
        });
        each.collect()
    }
}

/// Ranks of all layers together.
fn rank(factors: &[Factor<'_>]) -> usize {
    factors.iter().map(|factor| factor.rank).sum()
}

/// The factors at a layer, and their first column among those of all layers.
fn own<'a, 'f>(factors: &'a [Factor<'f>], layer: usize) -> Option<(&'a Factor<'f>, usize)> {
    let index = factors.iter().position(|factor| factor.layer == layer)?;
    Some((&factors[index], rank(&factors[..index])))
}

/// As many parts of `size`, one after the other.
fn parts(mut out: &mut [f32], size: usize, count: usize) -> Vec<&mut [f32]> {
    let next = |_| {
        let (part, rest) = std::mem::take(&mut out).split_at_mut(size);
        out = rest;
        part
    };
    (0..count).map(next).collect()
}
