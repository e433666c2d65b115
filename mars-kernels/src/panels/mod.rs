//! Weights and moving rows in tiles of bf16.
//!
//! - Weights, for each panel of 32 columns and each step of 32 in k: two tiles (columns 0..16 and 16..32) whose row r
//!   has the pairs `W[2r][n], W[2r + 1][n]` of 16 columns n; with a second part, two tiles of what rounding took off.
//! - Moving rows, for each block of 32 rows and each step: two tiles (rows 0..16 and 16..32) of 32 values of k, and
//!   likewise a second part.
//!
//! Whatever does not fill a tile is zero. This is the order of `x W`; for `y W^T` panels are transposed when they are needed.

mod multiply;
mod rows;
mod tasks;
mod transposed;

use rayon::prelude::*;

use crate::{
    Error,
    bf16::{rest, round},
    tile::{BLOCK, Line, STEP},
};

/// A weight `[k, n]` in panels, for products in both directions.
pub(crate) struct Panels {
    k: usize,
    n: usize,
    /// Whether there is a second part.
    low: bool,
    lines: Vec<Line>,
}

/// Which product a weight `[k, n]` takes part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// `x W`, of depth k.
    Forward,
    /// `y W^T`, of depth n.
    Backward,
}

/// Lines of a weight that is packed by one thread: 256 KiB.
const SMALL: usize = 4096;

impl Panels {
    pub(crate) fn pack(
        k: usize,
        n: usize,
        low: bool,
        at: impl Fn(usize, usize) -> f32 + Sync,
    ) -> Result<Self, Error> {
        let (steps, panels) = (k.div_ceil(STEP), n.div_ceil(BLOCK));
        let parts = if low { 2 } else { 1 };
        let large = Error::TooLarge { rows: k, columns: n };
        let of_panel = steps.checked_mul(parts * 32).ok_or_else(|| large.clone())?;
        let count = panels.checked_mul(of_panel).ok_or_else(|| large.clone())?;
        let mut lines = Vec::new();
        lines.try_reserve_exact(count).map_err(|_| large)?;
        lines.resize(count, Line::ZERO);
        let panel = |(panel, lines): (usize, &mut [Line])| {
            for (index, line) in lines.iter_mut().enumerate() {
                let (step, part) = (index / (parts * 32), index / 32 % parts);
                let (half, row) = (index / 16 % 2, index % 16);
                for (place, value) in line.0.iter_mut().enumerate() {
                    let (i, o) = (step * STEP + 2 * row + place % 2, panel * BLOCK + half * 16 + place / 2);
                    if i < k && o < n {
                        let x = at(i, o);
                        *value = if part == 0 { round(x) } else { rest(x, round(x)) };
                    }
                }
            }
        };
        if count == 0 {
            return Ok(Self { k, n, low, lines });
        }
        // Small ones stay on this thread. So does the check of tiles, which runs once: were it shared with a pool, a thread
        // that waits for the rest of it could begin a task that waits for the check.
        if count <= SMALL {
            lines.chunks_mut(of_panel).enumerate().for_each(panel);
        } else {
            lines.par_chunks_mut(of_panel).enumerate().for_each(panel);
        }
        Ok(Self { k, n, low, lines })
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.lines.as_slice())
    }

    /// Depth and columns of the products in a direction.
    pub(crate) fn sizes(&self, direction: Direction) -> (usize, usize) {
        match direction {
            Direction::Forward => (self.k, self.n),
            Direction::Backward => (self.n, self.k),
        }
    }

    fn parts(&self) -> usize {
        if self.low { 2 } else { 1 }
    }

    /// The weight at row `i` and column `o`: the sum of its parts.
    pub(crate) fn at(&self, i: usize, o: usize) -> f32 {
        let parts = self.parts();
        let step = (o / BLOCK * self.k.div_ceil(STEP) + i / STEP) * parts * 32;
        let line = step + o % BLOCK / 16 * 16 + i % STEP / 2;
        let part = |part: usize| crate::bf16::widen(self.lines[line + part * 32].0[o % 16 * 2 + i % 2]);
        if self.low { part(0) + part(1) } else { part(0) }
    }
}
