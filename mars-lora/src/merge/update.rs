//! The change of one weight by its factors, row by row in f64.
//!
//! `W + s B A`; with a magnitude `m` (DoRA, arXiv 2402.09353) each row is scaled to that norm.

use crate::{Factors, SiteKind};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// What is added to the rows of a weight as it lies on disk.
pub(super) struct Update {
    /// `[rows, rank]`, scale and sign included.
    left: Vec<f64>,
    /// `[rank, columns]`.
    right: Vec<f64>,
    rank: usize,
    pub(super) columns: usize,
    magnitude: Option<Vec<f32>>,
    /// Rows that are replaced in the end.
    rows: BTreeMap<usize, Vec<f64>>,
}

impl Update {
    /// The update by `factors` times `scale`. Embeddings lie transposed, `[vocabulary, outputs]`.
    pub(super) fn new(factors: &Factors, kind: SiteKind, scale: f64) -> Self {
        let Factors { rank, inputs, outputs, .. } = *factors;
        let wide = |values: &[f32], factor: f64| values.iter().map(|x| f64::from(*x) * factor).collect();
        let (left, right, columns) = match kind {
            SiteKind::Embedding => {
                (wide(&turned(&factors.a, inputs), scale), wide(&turned(&factors.b, rank), 1.0), outputs)
            }
            SiteKind::Linear | SiteKind::Convolution { .. } => {
                (wide(&factors.b, scale), wide(&factors.a, 1.0), inputs)
            }
        };
        Self { left, right, rank, columns, magnitude: factors.magnitude.clone(), rows: BTreeMap::new() }
    }

    /// The update of a bias `[outputs]` by that of B.
    pub(super) fn of_bias(bias: &[f64], scale: f64) -> Self {
        let left = bias.iter().map(|value| value * scale).collect();
        Self { left, right: vec![1.0], rank: 1, columns: 1, magnitude: None, rows: BTreeMap::new() }
    }

    /// Nothing but rows of a table `[vocabulary, columns]`, one after the other in `values`.
    pub(super) fn of_rows(rows: &[usize], values: &[f64], columns: usize) -> Self {
        let values = values.chunks_exact(columns.max(1)).map(<[f64]>::to_vec);
        let rows = rows.iter().copied().zip(values).collect();
        Self { left: Vec::new(), right: Vec::new(), rank: 0, columns, magnitude: None, rows }
    }

    /// Changes some rows, of which the first is row `first` of the weight.
    /// With DoRA row o becomes `m_o (W + s B A)_o / ||(W + s B A)_o||`, as PEFT merges it.
    pub(super) fn apply(&self, first: usize, rows: &mut [f64]) {
        rows.par_chunks_mut(self.columns).enumerate().for_each(|(row, values)| {
            let row = first + row;
            let left = &self.left[row * self.rank..(row + 1) * self.rank];
            for (factor, right) in left.iter().zip(self.right.chunks_exact(self.columns)) {
                for (value, right) in values.iter_mut().zip(right) {
                    *value += factor * right;
                }
            }
            if let Some(magnitude) = &self.magnitude {
                let norm = values.iter().map(|x| x * x).sum::<f64>().sqrt();
                let factor = f64::from(magnitude[row]) / norm;
                values.iter_mut().for_each(|x| *x *= factor);
            }
            if let Some(own) = self.rows.get(&row) {
                values.copy_from_slice(own);
            }
        });
    }
}

/// The transpose of a matrix with these columns.
fn turned(values: &[f32], columns: usize) -> Vec<f32> {
    let rows = values.len() / columns.max(1);
    (0..columns).flat_map(|c| (0..rows).map(move |r| values[r * columns + c])).collect()
}
