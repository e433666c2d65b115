//! Where the factors of each site lie in the flat parameter row of one adapter of a stack.

use crate::{Factors, Site};

/// Placement of one adapted site: A `[inputs, rank]` row-major from `start`, then B `[rank, outputs]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Slot {
    pub(crate) site: usize,
    pub(crate) path: String,
    pub(crate) component: String,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Padded rank: the largest of the stack at this site.
    pub(crate) rank: usize,
    pub(crate) start: usize,
}

impl Slot {
    /// First index of B.
    pub(crate) fn middle(&self) -> usize {
        self.start + self.inputs * self.rank
    }

    /// One past the last index.
    pub(crate) fn end(&self) -> usize {
        self.middle() + self.rank * self.outputs
    }
}

/// The slots of all adapted sites, one after the other.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Layout {
    pub(crate) slots: Vec<Slot>,
}

impl Layout {
    /// Slots for every site where some adapter has a rank; `ranks[k][site]`.
    pub(crate) fn new(sites: &[Site], ranks: &[Vec<usize>]) -> Self {
        let mut slots: Vec<Slot> = Vec::new();
        for (index, site) in sites.iter().enumerate() {
            let rank = ranks.iter().map(|of| of[index]).max().unwrap_or(0);
            if rank > 0 {
                slots.push(Slot {
                    site: index,
                    path: site.path.clone(),
                    component: site.component.clone(),
                    inputs: site.inputs,
                    outputs: site.outputs,
                    rank,
                    start: slots.last().map_or(0, Slot::end),
                });
            }
        }
        Self { slots }
    }

    /// Length of a row.
    pub(crate) fn width(&self) -> usize {
        self.slots.last().map_or(0, Slot::end)
    }

    /// The row of one adapter, zero where its rank is below the padded one.
    pub(crate) fn pad(&self, factors: &[Factors]) -> Vec<f32> {
        let mut row = vec![0.0; self.width()];
        for slot in &self.slots {
            let Some(own) = factors.iter().find(|f| f.path == slot.path) else { continue };
            for i in 0..slot.inputs {
                for r in 0..own.rank {
                    row[slot.start + i * slot.rank + r] = own.a[r * slot.inputs + i];
                }
            }
            for r in 0..own.rank {
                for o in 0..slot.outputs {
                    row[slot.middle() + r * slot.outputs + o] = own.b[o * own.rank + r];
                }
            }
        }
        row
    }

    /// The factors of one adapter from its row; `ranks[site]` are its own ranks.
    pub(crate) fn unpad(&self, row: &[f32], ranks: &[usize]) -> Vec<Factors> {
        let adapted = self.slots.iter().filter(|slot| ranks[slot.site] > 0);
        adapted
            .map(|slot| {
                let rank = ranks[slot.site];
                let (mut a, mut b) = (vec![0.0; rank * slot.inputs], vec![0.0; slot.outputs * rank]);
                for r in 0..rank {
                    for i in 0..slot.inputs {
                        a[r * slot.inputs + i] = row[slot.start + i * slot.rank + r];
                    }
                    for o in 0..slot.outputs {
                        b[o * rank + r] = row[slot.middle() + r * slot.outputs + o];
                    }
                }
                Factors { path: slot.path.clone(), rank, inputs: slot.inputs, outputs: slot.outputs, a, b }
            })
            .collect()
    }
}
