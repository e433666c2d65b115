use super::{assert_held, pairs, resized};
use crate::tile::{BLOCK, Line, STEP};

/// The right operand of a product, `[depth, columns]`, rounded to bf16; its memory is kept from one matrix to the next.
#[derive(Default)]
pub struct RightOperand {
    depth: usize,
    columns: usize,
    /// For each panel of 32 columns and each step of 32 along the depth two tiles of pairs.
    lines: Vec<Line>,
}

impl RightOperand {
    /// An operand without columns.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the matrix whose rows of `columns` values begin `stride` values apart.
    ///
    /// # Panics
    /// If `x` is too short, which leaves the operand without any values.
    pub fn set(&mut self, x: &[f32], stride: usize, depth: usize, columns: usize) {
        self.fill::<true>(x, stride, [depth, columns]);
    }

    /// Takes the transpose of the matrix whose `columns` rows of `depth` values begin `stride` values apart.
    ///
    /// # Panics
    /// If `x` is too short, which leaves the operand without any values.
    pub fn set_transposed(&mut self, x: &[f32], stride: usize, depth: usize, columns: usize) {
        self.fill::<false>(x, stride, [depth, columns]);
    }

    fn fill<const ACROSS: bool>(&mut self, x: &[f32], stride: usize, [depth, columns]: [usize; 2]) {
        (self.depth, self.columns) = (0, 0);
        assert_held::<ACROSS>(x, stride, [columns, depth]);
        let lines = resized(&mut self.lines, columns, depth);
        pairs::fill::<ACROSS, true>(x, stride, [columns, depth], lines);
        (self.depth, self.columns) = (depth, columns);
    }

    /// Its rows, along which products are summed.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// Its columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Columns from `32 panel` on.
    pub(super) fn panel(&self, panel: usize) -> &[Line] {
        let size = self.depth.div_ceil(STEP) * BLOCK;
        &self.lines[panel * size..][..size]
    }
}

impl std::fmt::Debug for RightOperand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut fields = f.debug_struct("RightOperand");
        fields.field("depth", &self.depth).field("columns", &self.columns).finish_non_exhaustive()
    }
}
