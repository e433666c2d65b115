//! Where the factors of each site lie in the flat parameter row of one adapter of a stack.

use crate::{Factors, Site};
use std::ops::Range;

/// Placement of one adapted site: A `[rank, inputs]` from `start`, then B `[rank, outputs]` (PEFT's transposed),
/// then the magnitudes `[outputs]` if some adapter has them. A lower rank fills the first rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slot {
    pub(crate) site: usize,
    pub(crate) path: String,
    pub(crate) module: String,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Largest rank of the stack at this site.
    pub(crate) rank: usize,
    pub(crate) dora: bool,
    pub(crate) start: usize,
}

impl Slot {
    /// Place of the first `rank` rows of A.
    pub(crate) fn a(&self, rank: usize) -> Range<usize> {
        self.start..self.start + rank * self.inputs
    }

    /// Place of the first `rank` rows of B.
    pub(crate) fn b(&self, rank: usize) -> Range<usize> {
        let start = self.a(self.rank).end;
        start..start + rank * self.outputs
    }

    /// Place of the magnitudes.
    pub(crate) fn magnitude(&self) -> Range<usize> {
        let start = self.b(self.rank).end;
        start..start + if self.dora { self.outputs } else { 0 }
    }
}

/// The slots of all adapted sites, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layout {
    pub(crate) slots: Vec<Slot>,
}

impl Layout {
    /// Slots for every site where some adapter has a rank; `ranks[k][site]`, and whether adapter k is a DoRA.
    pub(crate) fn new(sites: &[Site], ranks: &[Vec<usize>], dora: &[bool]) -> Self {
        let mut slots: Vec<Slot> = Vec::new();
        for (index, site) in sites.iter().enumerate() {
            let rank = ranks.iter().map(|of| of[index]).max().unwrap_or(0);
            if rank > 0 {
                slots.push(Slot {
                    site: index,
                    path: site.path.clone(),
                    module: site.module.clone(),
                    inputs: site.inputs,
                    outputs: site.outputs,
                    rank,
                    dora: ranks.iter().zip(dora).any(|(of, dora)| *dora && of[index] > 0),
                    start: slots.last().map_or(0, |slot| slot.magnitude().end),
                });
            }
        }
        Self { slots }
    }

    /// Length of a row.
    /// P: values of all slots together.
    pub(crate) fn width(&self) -> usize {
        self.slots.last().map_or(0, |slot| slot.magnitude().end)
    }

    /// The row of one adapter, zero where it has nothing.
    pub(crate) fn pad(&self, factors: &[Factors]) -> Vec<f32> {
        let mut row = vec![0.0; self.width()];
        for slot in &self.slots {
            let Some(own) = factors.iter().find(|f| f.path == slot.path) else { continue };
            row[slot.a(own.rank)].copy_from_slice(&own.a);
            transpose(&own.b, slot.outputs, own.rank, &mut row[slot.b(own.rank)]);
            if let Some(magnitude) = &own.magnitude {
                row[slot.magnitude()].copy_from_slice(magnitude);
            }
        }
        row
    }

    /// The factors of one adapter from its row; `ranks[site]` are its own ranks.
    pub(crate) fn unpad(&self, row: &[f32], ranks: &[usize], dora: bool) -> Vec<Factors> {
        let adapted = self.slots.iter().filter(|slot| ranks[slot.site] > 0);
        adapted
            .map(|slot| {
                let rank = ranks[slot.site];
                let mut b = vec![0.0; slot.outputs * rank];
                transpose(&row[slot.b(rank)], rank, slot.outputs, &mut b);
                Factors {
                    path: slot.path.clone(),
                    rank,
                    inputs: slot.inputs,
                    outputs: slot.outputs,
                    a: row[slot.a(rank)].to_vec(),
                    b,
                    magnitude: dora.then(|| row[slot.magnitude()].to_vec()),
                }
            })
            .collect()
    }
}

/// Row-major `[rows, columns]` to row-major `[columns, rows]`.
fn transpose(from: &[f32], rows: usize, columns: usize, to: &mut [f32]) {
    for r in 0..rows {
        for c in 0..columns {
            to[c * rows + r] = from[r * columns + c];
        }
    }
}
