//! Products of operands that are new each time, against f64.
#![allow(clippy::unwrap_used)]

use mars_kernels::{Kernel, LeftOperand, Products, RightOperand, bf16};
use proptest::prelude::*;

/// Values in (-0.5, 0.5) that look random.
fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2).wrapping_add(1);
    let mut next = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

fn products() -> impl Iterator<Item = Products> {
    Kernel::ALL.into_iter().filter_map(Products::new)
}

/// A matrix `[rows, columns]` whose rows lie `apart` values more than their own apart, or its transpose.
struct Matrix {
    values: Vec<f32>,
    stride: usize,
    transposed: bool,
}

impl Matrix {
    fn new([rows, columns]: [usize; 2], apart: usize, transposed: bool, seed: u64) -> Self {
        let (lines, stride) = if transposed { (columns, rows + apart) } else { (rows, columns + apart) };
        // Without what would follow the last row.
        let values = values((lines * stride).saturating_sub(apart), seed);
        Self { values, stride, transposed }
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        let (line, place) = if self.transposed { (column, row) } else { (row, column) };
        bf16::widen(bf16::round(self.values[line * self.stride + place])).into()
    }
}

fn left(x: &Matrix, rows: usize, depth: usize, operand: &mut LeftOperand) {
    match x.transposed {
        true => operand.set_transposed(&x.values, x.stride, rows, depth),
        false => operand.set(&x.values, x.stride, rows, depth),
    }
}

fn right(x: &Matrix, depth: usize, columns: usize, operand: &mut RightOperand) {
    match x.transposed {
        true => operand.set_transposed(&x.values, x.stride, depth, columns),
        false => operand.set(&x.values, x.stride, depth, columns),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn sums_are_those_of_f64_of_rounded_values(
        (rows, depth, columns) in (0usize..80, 0usize..110, 0usize..80), [a, b, c] in [0usize..5, 0usize..5, 0usize..5],
        of_left: bool, of_right: bool, seed: u32,
    ) {
        let x = Matrix::new([rows, depth], a, of_left, seed.into());
        let y = Matrix::new([depth, columns], b, of_right, 7);
        let stride = columns + c;
        let before = values(rows * stride, 9);
        for products in products() {
            // Operands that held a larger matrix before.
            let (mut l, mut r) = (LeftOperand::new(), RightOperand::new());
            l.set(&[f32::NAN; 90 * 120], 120, 90, 120);
            r.set(&[f32::NAN; 120 * 90], 90, 120, 90);
            left(&x, rows, depth, &mut l);
            right(&y, depth, columns, &mut r);
            prop_assert_eq!([l.rows(), l.depth(), r.depth(), r.columns()], [rows, depth, depth, columns]);
            let mut out = before.clone();
            products.add(&mut out, stride, &l, &r);
            for (place, (out, before)) in out.iter().zip(&before).enumerate() {
                let (row, column) = (place / stride, place % stride);
                if column >= columns {
                    prop_assert_eq!(out.to_bits(), before.to_bits());
                    continue;
                }
                let terms = (0..depth).map(|k| x.at(row, k) * y.at(k, column));
                let (sum, size) = terms.fold((f64::from(*before), f64::from(before.abs())), |(sum, size), term| {
                    (sum + term, size + term.abs())
                });
                let bound = (2 * depth + 4) as f64 * 2f64.powi(-24) * size;
                prop_assert!((f64::from(*out) - sum).abs() <= bound, "{products:?} {place}: {out} is not {sum}");
            }
        }
    }

    #[test]
    fn a_value_has_the_same_bits_whatever_other_rows_and_columns_there_are(
        (rows, depth, columns) in (1usize..70, 1usize..90, 1usize..70), [row, column] in [0usize..70, 0usize..70], seed: u32,
    ) {
        let (row, column) = (row % rows, column % columns);
        let (x, y) = (values(rows * depth, seed.into()), values(depth * columns, 3));
        for products in products() {
            let (mut l, mut r) = (LeftOperand::new(), RightOperand::new());
            let mut all = vec![0.25; rows * columns];
            l.set(&x, depth, rows, depth);
            r.set(&y, columns, depth, columns);
            products.add(&mut all, columns, &l, &r);
            let mut one = [0.25];
            l.set(&x[row * depth..], depth, 1, depth);
            r.set(&y[column..], columns, depth, 1);
            products.add(&mut one, 1, &l, &r);
            prop_assert_eq!(one[0].to_bits(), all[row * columns + column].to_bits());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_first_columns_and_the_first_rows_of_the_right_operand_are_multiplied_as_all_are(
        (rows, depth, columns) in (1usize..70, 0usize..90, 1usize..70), [deeper, seen] in [0usize..70, 0usize..80], seed: u32,
    ) {
        let (x, y) = (values(rows * depth, seed.into()), values((depth + deeper) * columns, 3));
        for products in products() {
            let (mut l, mut r) = (LeftOperand::new(), RightOperand::new());
            l.set(&x, depth, rows, depth);
            r.set(&y, columns, depth, columns);
            let mut all = vec![0.0; rows * columns];
            products.add(&mut all, columns, &l, &r);
            r.set(&y, columns, depth + deeper, columns);
            let mut some = vec![f32::NAN; rows * columns];
            products.multiply(&mut some, columns, &l, &r, seen);
            for (place, (some, all)) in some.iter().zip(&all).enumerate() {
                // 0 + -0 is 0.
                prop_assert!(if place % columns < seen { *some == *all } else { some.is_nan() }, "{products:?} {place}");
            }
        }
    }
}

#[test]
fn zeros_behind_the_depth_change_no_bit() {
    let (x, y) = (values(40 * 50, 1), values(50 * 40, 2));
    for products in products() {
        let with = |depth: usize| {
            let (mut l, mut r) = (LeftOperand::new(), RightOperand::new());
            let mut rows = vec![0.0; 40 * depth];
            for (row, x) in rows.chunks_exact_mut(depth).zip(x.chunks_exact(50)) {
                row[..50].copy_from_slice(x);
            }
            let mut below = y.clone();
            below.resize(depth * 40, 1.0);
            l.set(&rows, depth, 40, depth);
            r.set(&below, 40, depth, 40);
            let mut out = vec![0.0; 40 * 40];
            products.add(&mut out, 40, &l, &r);
            out
        };
        let short = with(50);
        assert!([51, 64, 65, 200].into_iter().all(|depth| with(depth) == short), "{products:?}");
    }
}

#[test]
fn operands_that_do_not_fit_and_short_memory_are_refused() {
    let panics = |f: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err();
    let x = [1.0; 64 * 64];
    let products = Products::new(Kernel::Emulator).unwrap();
    let add = |depths: [usize; 2], stride: usize, out: usize| {
        let (mut l, mut r) = (LeftOperand::new(), RightOperand::new());
        l.set(&x, 64, 40, depths[0]);
        r.set(&x, 64, depths[1], 40);
        products.add(&mut vec![0.0; out], stride, &l, &r);
    };
    add([30, 30], 40, 40 * 40);
    add([30, 30], 41, 39 * 41 + 40);
    add([30, 31], 40, 40 * 40);
    assert!(panics(&|| add([31, 30], 40, 40 * 40)));
    assert!(panics(&|| add([30, 30], 39, 40 * 40)));
    assert!(panics(&|| add([30, 30], 40, 40 * 40 - 1)));
    // The last row begins at 31 times the stride, which is 1 where that wraps around.
    assert!(panics(&|| {
        let (mut l, mut r) = (LeftOperand::new(), RightOperand::new());
        l.set(&x, 64, 32, 1);
        r.set(&x, 64, 1, 32);
        products.add(&mut [0.0; 33], 0xef7b_def7_bdef_7bdf, &l, &r);
    }));
    assert!(panics(&|| LeftOperand::new().set(&[], 0, 1 << 63, 64)));
    assert!(panics(&|| RightOperand::new().set_transposed(&[], 0, 1 << 63, 64)));
    assert!(panics(&|| LeftOperand::new().set(&x, 64, 64, 65)));
    assert!(panics(&|| RightOperand::new().set_transposed(&x, 64, 65, 64)));
    assert!(Products::new(Kernel::F32).is_none());
}
