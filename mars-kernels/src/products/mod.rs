//! Products of two matrices that are new each time, such as those of an attention.

mod left;
mod pairs;
mod right;

pub use left::LeftOperand;
pub use right::RightOperand;

use crate::{
    Kernel,
    tile::{Amx, Avx512, BLOCK, Emulator, Engine, Line, Program, STEP, Sums},
};

/// Products of operands that were rounded to bf16, with sums in f32, on the thread of the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Products(Kernel);

impl Products {
    /// Products by `kernel`; `None` if that is [`Kernel::F32`] or cannot be used here ([`Kernel::usable`]).
    pub fn new(kernel: Kernel) -> Option<Self> {
        (kernel != Kernel::F32 && kernel.usable().is_ok()).then_some(Self(kernel))
    }

    /// Adds `left right`, `[rows, columns]`, to `out`, whose rows begin `stride` values apart. If the depth of `left` is less than that of
    /// `right`, the first rows of `right` count; those up to the next multiple of 32 are multiplied with zeros and have to be finite.
    ///
    /// Each value is summed in an order that depends on neither the number of rows nor that of columns; whether what is in `out` is
    /// its first term or its last, the kernel decides.
    ///
    /// # Panics
    /// If `left` is deeper than `right`, `stride` is below the number of columns, or `out` is too short for the product.
    pub fn add(self, out: &mut [f32], stride: usize, left: &LeftOperand, right: &RightOperand) {
        self.run::<true>(out, stride, left, right, right.columns());
    }

    /// Writes the first `columns` columns of `left right`, or all if there are fewer, to `out`. Otherwise as [`add`](Self::add).
    ///
    /// # Panics
    /// As [`add`](Self::add).
    pub fn multiply(
        self,
        out: &mut [f32],
        stride: usize,
        left: &LeftOperand,
        right: &RightOperand,
        columns: usize,
    ) {
        self.run::<false>(out, stride, left, right, columns.min(right.columns()));
    }

    fn run<const ADD: bool>(
        self,
        out: &mut [f32],
        stride: usize,
        left: &LeftOperand,
        right: &RightOperand,
        columns: usize,
    ) {
        match self.0 {
            Kernel::Tiles => run::<Amx, ADD>(out, stride, left, right, columns),
            Kernel::DotProducts => run::<Avx512, ADD>(out, stride, left, right, columns),
            // `new` takes no f32.
            Kernel::Emulator | Kernel::F32 => run::<Emulator, ADD>(out, stride, left, right, columns),
        }
    }
}

/// [`Products::multiply`] by an engine, or [`Products::add`].
pub(crate) fn run<E: Engine, const ADD: bool>(
    out: &mut [f32],
    stride: usize,
    left: &LeftOperand,
    right: &RightOperand,
    columns: usize,
) {
    let (rows, depth) = (left.rows(), left.depth());
    assert!(depth <= right.depth(), "the left operand is {depth} deep, the right one {}", right.depth());
    if rows == 0 || columns == 0 {
        return;
    }
    let end = (rows - 1).checked_mul(stride).and_then(|last| last.checked_add(columns));
    let fits = stride >= columns && end.is_some_and(|end| end <= out.len());
    assert!(fits, "{} values for {rows} rows of {columns} that begin {stride} apart", out.len());
    let mut edge = Sums::ZERO;
    let mut engine = E::configure();
    for panel in 0..columns.div_ceil(BLOCK) {
        let wide = BLOCK.min(columns - panel * BLOCK);
        for block in 0..rows.div_ceil(BLOCK) {
            let high = BLOCK.min(rows - block * BLOCK);
            let moving = left.block(block);
            let weights = &right.panel(panel)[..moving.len()];
            let out = &mut out[block * BLOCK * stride + panel * BLOCK..];
            if high == BLOCK && wide == BLOCK && depth > 0 {
                let to = out[..(BLOCK - 1) * stride + BLOCK].as_mut_ptr();
                // SAFETY: 32 rows of 32 values, `stride` apart, are in `out`.
                unsafe {
                    match ADD {
                        true => engine.add(Program::One, moving, weights, to, stride),
                        false => engine.block(Program::One, moving, weights, BLOCK, to, stride),
                    }
                }
                continue;
            }
            let places = edge.0.chunks_exact_mut(BLOCK).zip(out.chunks_mut(stride)).take(high);
            // As a block that is there whole: what it is added to may be the first of its terms.
            if ADD {
                places.for_each(|(sums, out)| sums[..wide].copy_from_slice(&out[..wide]));
            }
            if depth > 0 {
                let to = edge.0.as_mut_ptr();
                // SAFETY: `edge` has 32 rows of 32 values.
                unsafe {
                    match ADD {
                        true => engine.add(Program::One, moving, weights, to, BLOCK),
                        false => engine.block(Program::One, moving, weights, high, to, BLOCK),
                    }
                }
            }
            for (sums, out) in edge.0.chunks_exact(BLOCK).zip(out.chunks_mut(stride)).take(high) {
                out[..wide].copy_from_slice(&sums[..wide]);
            }
        }
    }
    engine.release();
}

/// Panics if `x` does not hold a matrix `[outer, depth]`, or with `ACROSS` its transpose, whose rows begin `stride` values apart.
fn assert_held<const ACROSS: bool>(x: &[f32], stride: usize, [outer, depth]: [usize; 2]) {
    let (rows, columns) = if ACROSS { (depth, outer) } else { (outer, depth) };
    let end = rows.saturating_sub(1).checked_mul(stride).and_then(|last| last.checked_add(columns));
    let held = rows == 0 || columns == 0 || end.is_some_and(|end| end <= x.len());
    assert!(held, "{} values for {rows} rows of {columns} that begin {stride} apart", x.len());
}

/// The lines of a matrix with one dimension in blocks, with whatever they held.
fn resized(lines: &mut Vec<Line>, blocked: usize, depth: usize) -> &mut [Line] {
    let count = depth
        .div_ceil(STEP)
        .checked_mul(BLOCK)
        .and_then(|of_block| of_block.checked_mul(blocked.div_ceil(BLOCK)));
    let Some(count) = count else { panic!("a matrix of {blocked} x {depth} does not fit the address space") };
    if lines.len() < count {
        lines.resize(count, Line::ZERO);
    }
    &mut lines[..count]
}
