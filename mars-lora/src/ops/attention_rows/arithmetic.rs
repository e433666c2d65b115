use super::super::tiles::{Panels, Term, add_outer_with, add_products_with};
use super::row_stride;
use mars_kernels::{LeftOperand, Products, RightOperand};
use pulp::Simd;

/// What the products of an attention are computed in.
pub(super) trait Arithmetic: Copy + Sync {
    /// Positions whose scores are in work at a time.
    const ROWS: usize;
    /// A right operand `[depth, columns]` that is multiplied with more than once.
    type Packed: Send + Sync;
    /// Memory of the operands of one product after the other.
    type Scratch: Default;

    /// Packs the matrix of which `x` holds row after row, or the transpose of that.
    fn pack(self, x: &[f32], size: [usize; 2], transposed: bool) -> Self::Packed;

    /// Writes the product of `rows` rows of the matrix on the left with what was packed to `out`, of at least the first `seen` columns;
    /// rows lie their strides apart.
    fn multiply<S: Simd>(
        self,
        simd: S,
        scratch: &mut Self::Scratch,
        out: (&mut [f32], usize),
        rows_and_seen: [usize; 2],
        left: (&[f32], usize),
        right: &Self::Packed,
    );

    /// Adds the product of `rows` rows of the first `seen` columns on the left with as many rows of what was packed to `out`.
    fn add<S: Simd>(
        self,
        simd: S,
        scratch: &mut Self::Scratch,
        out: (&mut [f32], usize),
        rows_and_seen: [usize; 2],
        left: (&[f32], usize),
        right: &Self::Packed,
    );

    /// Sums of [`add_outer`](Self::add_outer) that nothing was added to, of positions and width.
    fn sums(size: [usize; 2]) -> Vec<f32>;

    /// Adds `left^T right` of matrices of `rows` rows, `[rows, positions]` and `[rows, width]`, to `sums`, of the first `seen`
    /// positions. [`rows`](Self::rows) puts the sums in order.
    fn add_outer<S: Simd>(
        self,
        simd: S,
        scratch: &mut Self::Scratch,
        sums: (&mut [f32], [usize; 2]),
        rows_and_seen: [usize; 2],
        left: (&[f32], usize),
        right: (&[f32], usize),
    );

    /// Sums as rows `[positions, width]`.
    fn rows(sums: Vec<f32>, size: [usize; 2]) -> Vec<f32>;
}

/// f32 throughout.
#[derive(Clone, Copy)]
pub(super) struct InF32;

impl Arithmetic for InF32 {
    const ROWS: usize = 48;
    type Packed = Panels;
    type Scratch = ();

    #[inline(always)]
    fn pack(self, x: &[f32], [depth, columns]: [usize; 2], transposed: bool) -> Panels {
        match transposed {
            true => Panels::new().columns(x, depth, [depth, columns]),
            false => Panels::new().rows(x, columns, [depth, columns]),
        }
    }

    #[inline(always)]
    fn multiply<S: Simd>(
        self,
        simd: S,
        (): &mut (),
        (out, stride): (&mut [f32], usize),
        [rows, seen]: [usize; 2],
        (left, apart): (&[f32], usize),
        right: &Panels,
    ) {
        for row in out.chunks_mut(stride).take(rows) {
            let end = seen.min(row.len());
            row[..end].fill(0.0);
        }
        add_products_with(simd, out, (stride, seen), rows, &[Term::new(left, apart, right)]);
    }

    #[inline(always)]
    fn add<S: Simd>(
        self,
        simd: S,
        (): &mut (),
        (out, stride): (&mut [f32], usize),
        [rows, seen]: [usize; 2],
        (left, apart): (&[f32], usize),
        right: &Panels,
    ) {
        let term = Term::new(left, apart, right).up_to(seen);
        add_products_with(simd, out, (stride, usize::MAX), rows, &[term]);
    }

    #[inline(always)]
    fn add_outer<S: Simd>(
        self,
        simd: S,
        (): &mut (),
        (sums, [_, width]): (&mut [f32], [usize; 2]),
        [rows, seen]: [usize; 2],
        left: (&[f32], usize),
        right: (&[f32], usize),
    ) {
        add_outer_with(simd, sums, [seen, width], left, right, rows);
    }

    fn sums([positions, width]: [usize; 2]) -> Vec<f32> {
        vec![0.0; positions * width]
    }

    fn rows(sums: Vec<f32>, _: [usize; 2]) -> Vec<f32> {
        sums
    }
}

/// Operands rounded to bf16, sums in f32.
impl Arithmetic for Products {
    const ROWS: usize = 64;
    type Packed = RightOperand;
    type Scratch = (LeftOperand, RightOperand);

    fn pack(self, x: &[f32], [depth, columns]: [usize; 2], transposed: bool) -> RightOperand {
        let mut packed = RightOperand::new();
        match transposed {
            true => packed.set_transposed(x, depth, depth, columns),
            false => packed.set(x, columns, depth, columns),
        }
        packed
    }

    fn multiply<S: Simd>(
        self,
        _: S,
        (own, _): &mut Self::Scratch,
        (out, stride): (&mut [f32], usize),
        [rows, seen]: [usize; 2],
        (left, apart): (&[f32], usize),
        right: &RightOperand,
    ) {
        own.set(left, apart, rows, right.depth());
        Products::multiply(self, out, stride, own, right, seen);
    }

    fn add<S: Simd>(
        self,
        _: S,
        (own, _): &mut Self::Scratch,
        (out, stride): (&mut [f32], usize),
        [rows, seen]: [usize; 2],
        (left, apart): (&[f32], usize),
        right: &RightOperand,
    ) {
        own.set(left, apart, rows, seen);
        Products::add(self, out, stride, own, right);
    }

    /// The sums are `[width, positions]`, their rows [`row_stride`] apart: of the operands, only the narrow one is transposed.
    fn add_outer<S: Simd>(
        self,
        _: S,
        (own, other): &mut Self::Scratch,
        (sums, [positions, width]): (&mut [f32], [usize; 2]),
        [rows, seen]: [usize; 2],
        (left, apart): (&[f32], usize),
        (right, stride): (&[f32], usize),
    ) {
        own.set_transposed(right, stride, width, rows);
        other.set(left, apart, rows, seen);
        Products::add(self, sums, row_stride(positions), own, other);
    }

    fn sums([positions, width]: [usize; 2]) -> Vec<f32> {
        vec![0.0; row_stride(positions) * width]
    }

    fn rows(sums: Vec<f32>, [positions, width]: [usize; 2]) -> Vec<f32> {
        let stride = row_stride(positions);
        let mut rows = Vec::with_capacity(positions * width);
        rows.extend((0..positions * width).map(|at| sums[at % width * stride + at / width]));
        rows
    }
}
