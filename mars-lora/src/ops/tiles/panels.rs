//! The right matrix of a product, packed.

use super::Lanes;

/// A matrix `[depth, columns]` in panels: rows of a few columns, one after the other, the last filled up with zeros to whole vectors.
#[derive(Debug)]
pub(in crate::ops) struct Panels {
    values: Vec<f32>,
    lanes: Lanes,
    pub(super) depth: usize,
    pub(super) columns: usize,
}

impl Panels {
    pub(in crate::ops) fn new() -> Self {
        Self { values: Vec::new(), lanes: Lanes::new(), depth: 0, columns: 0 }
    }

    /// Of rows that lie `stride` apart.
    pub(in crate::ops) fn rows(mut self, right: &[f32], stride: usize, [depth, columns]: [usize; 2]) -> Self {
        self.pack_rows(right, stride, [depth, columns]);
        self
    }

    /// Of columns that lie `stride` apart.
    pub(in crate::ops) fn columns(
        mut self,
        right: &[f32],
        stride: usize,
        [depth, columns]: [usize; 2],
    ) -> Self {
        self.pack_columns(right, stride, [depth, columns]);
        self
    }

    /// As [`rows`](Self::rows), in place of what it held.
    #[inline(always)]
    pub(in crate::ops) fn pack_rows(&mut self, right: &[f32], stride: usize, shape: [usize; 2]) {
        self.pack(shape, |values, depth, from, width| {
            values.extend_from_slice(&right[depth * stride + from..][..width]);
        });
    }

    /// As [`columns`](Self::columns), in place of what it held.
    #[inline(always)]
    pub(in crate::ops) fn pack_columns(&mut self, right: &[f32], stride: usize, shape: [usize; 2]) {
        self.pack(shape, |values, depth, from, width| {
            values.extend((from..from + width).map(|column| right[column * stride + depth]));
        });
    }

    #[inline(always)]
    fn pack(&mut self, [depth, columns]: [usize; 2], add: impl Fn(&mut Vec<f32>, usize, usize, usize)) {
        let Lanes { floats, vectors } = self.lanes;
        self.values.clear();
        self.values.reserve(depth * columns.next_multiple_of(floats));
        for from in (0..columns).step_by(floats * vectors) {
            let width = (floats * vectors).min(columns - from);
            let padding = width.next_multiple_of(floats) - width;
            for depth in 0..depth {
                add(&mut self.values, depth, from, width);
                self.values.extend(std::iter::repeat_n(0.0, padding));
            }
        }
        (self.depth, self.columns) = (depth, columns);
    }

    /// Its first column, number of columns, and values of each panel.
    #[inline(always)]
    pub(super) fn panel(&self, from: usize) -> (usize, &[f32]) {
        let Lanes { floats, vectors } = self.lanes;
        let width = (floats * vectors).min(self.columns - from);
        let padded = width.next_multiple_of(floats);
        (width, &self.values[from * self.depth..][..padded * self.depth])
    }
}
