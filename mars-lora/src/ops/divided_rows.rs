//! Products of packed matrices, and sums over rows, on all threads where that is worth it. No bit depends on their number.

use super::tiles::{Term, add_outer, add_products};
use rayon::prelude::*;

/// Multiplications from which on rows are divided among threads.
const PARALLEL: usize = 1 << 25;
/// Values from which on what is read or written is divided among threads, whatever is computed with it.
pub(super) const LARGE: usize = 1 << 19;
/// Rows of one task.
pub(super) const ROWS: usize = 64;
/// Columns of one task where rows are summed, whole panels.
const COLUMNS: usize = 128;

/// Adds products to the columns from `start` on of rows that lie `stride` apart, on all threads where that is worth it.
pub(super) fn add(
    out: &mut [f32],
    (stride, start): (usize, usize),
    rows: usize,
    terms: &[Term<'_>],
    columns: usize,
) {
    if rows == 0 || columns == 0 || terms.is_empty() {
        return;
    }
    let depth: usize = terms.iter().map(Term::depth).sum();
    if rows * depth * columns < PARALLEL && rows * depth.max(columns) < LARGE {
        return add_products(&mut out[start..], stride, rows, terms);
    }
    out.par_chunks_mut(ROWS * stride).enumerate().for_each(|(task, out)| {
        let own: Vec<Term<'_>> = terms.iter().map(|term| term.below(task * ROWS)).collect();
        let count = ROWS.min(rows - task * ROWS);
        add_products(&mut out[start..], stride, count, &own);
    });
}

/// The sum of the outer products of rows of `left` and `right`, `[height, columns]`, on all threads where that is worth it.
pub(super) fn outer(
    [height, columns]: [usize; 2],
    left: (&[f32], usize),
    (right, stride): (&[f32], usize),
    rows: usize,
) -> Vec<f32> {
    let mut out = vec![0.0; height * columns];
    if rows * columns < LARGE || columns <= COLUMNS {
        add_outer(&mut out, [height, columns], left, (right, stride), rows);
        return out;
    }
    let part = |from: usize| {
        let width = COLUMNS.min(columns - from);
        let mut own = vec![0.0; height * width];
        add_outer(&mut own, [height, width], left, (&right[from..], stride), rows);
        own
    };
    let parts: Vec<Vec<f32>> =
        (0..columns.div_ceil(COLUMNS)).into_par_iter().map(|n| part(n * COLUMNS)).collect();
    for (n, part) in parts.into_iter().enumerate() {
        let width = part.len() / height.max(1);
        for (out, own) in out.chunks_exact_mut(columns).zip(part.chunks_exact(width.max(1))) {
            out[n * COLUMNS..][..width].copy_from_slice(own);
        }
    }
    out
}
