use super::{assert_held, pairs, resized};
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

    /// Takes the matrix whose rows of `depth` values begin `stride` values apart.
    ///
    /// # Panics
    /// If `x` is too short, which leaves the operand without any values.
    pub fn set(&mut self, x: &[f32], stride: usize, rows: usize, depth: usize) {
        self.fill::<false>(x, stride, [rows, depth]);
    }

    /// Takes the transpose of the matrix whose `depth` rows of `rows` values begin `stride` values apart.
    ///
    /// # Panics
    /// If `x` is too short, which leaves the operand without any values.
    pub fn set_transposed(&mut self, x: &[f32], stride: usize, rows: usize, depth: usize) {
        self.fill::<true>(x, stride, [rows, depth]);
    }

    fn fill<const TRANSPOSED: bool>(&mut self, x: &[f32], stride: usize, [rows, depth]: [usize; 2]) {
        (self.rows, self.depth) = (0, 0);
        assert_held::<TRANSPOSED>(x, stride, [rows, depth]);
        let lines = resized(&mut self.lines, rows, depth);
        pairs::fill::<TRANSPOSED, false>(x, stride, [rows, depth], lines);
        (self.rows, self.depth) = (rows, depth);
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
