use super::{pairs, resized};
use crate::tile::{BLOCK, Line, STEP};

/// The left operand of a product, `[rows, depth]`, rounded to bf16; its memory is kept from one matrix to the next.
#[derive(Default)]
pub struct LeftOperand {
    rows: usize,
    depth: usize,
    /// For each block of 32 rows and each step of 32 along the depth the rows of two tiles.
    lines: Vec<Line>,
}

impl LeftOperand {
    /// An operand without rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the matrix whose rows of `depth` values begin `stride` apart.
    ///
    /// # Panics
    /// If `x` is too short.
    pub fn set(&mut self, x: &[f32], stride: usize, rows: usize, depth: usize) {
        let lines = self.lines_of(rows, depth);
        pairs::fill::<false, false>(x, stride, [rows, depth], lines);
    }

    /// Takes the transpose of the matrix whose `depth` rows of `rows` values begin `stride` apart.
    ///
    /// # Panics
    /// If `x` is too short.
    pub fn set_transposed(&mut self, x: &[f32], stride: usize, rows: usize, depth: usize) {
        let lines = self.lines_of(rows, depth);
        pairs::fill::<true, false>(x, stride, [rows, depth], lines);
    }

    fn lines_of(&mut self, rows: usize, depth: usize) -> &mut [Line] {
        (self.rows, self.depth) = (rows, depth);
        resized(&mut self.lines, rows.div_ceil(BLOCK) * depth.div_ceil(STEP) * BLOCK)
    }

    /// Its rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Its columns, along which products are summed.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Rows from `32 block` on.
    pub(super) fn block(&self, block: usize) -> &[Line] {
        let size = self.depth.div_ceil(STEP) * BLOCK;
        &self.lines[block * size..][..size]
    }
}

impl std::fmt::Debug for LeftOperand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeftOperand")
            .field("rows", &self.rows)
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}
