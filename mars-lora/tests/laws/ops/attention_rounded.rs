//! Attention whose products round their operands to bf16.

use super::attention::{
    SHAPES, attention_formula, attention_of, padding_changes_no_bit, threads_and_others_change_no_bit,
};
use super::{tensor, values};
use burn::tensor::{Device, Tensor};
use mars_kernels::{Kernel, Products};
use mars_lora::ops::{self, Attention};
use mars_testkit::device::device;

/// By the instructions of this processor, or else by their emulator.
fn products() -> Products {
    let of = |kernel: &Kernel| Products::new(*kernel);
    [Kernel::Tiles, Kernel::DotProducts, Kernel::Emulator].iter().find_map(of).unwrap()
}

/// The root of the mean square of the differences, over that of the expected values.
fn error(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let squares = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>();
    let size = squares(&mut expected.iter().map(|x| f64::from(*x)));
    (squares(&mut found.iter().zip(expected).map(|(a, b)| f64::from(a - b))) / size).sqrt()
}

/// Values and the gradient of the rows, weighted at random.
fn slopes(f: impl Fn(Tensor<3>) -> Tensor<3>, x: &Tensor<3>) -> [Vec<f32>; 2] {
    let x = x.clone().autodiff().require_grad();
    let y = f(x.clone());
    let weights = tensor(99, y.dims(), 1.0);
    let mut gradients = (y.clone() * weights.autodiff()).sum().backward();
    [values(y), values(x.grad_remove(&mut gradients).unwrap())]
}

#[test]
fn rounded_attention_is_its_formula_within_the_rounding_of_its_operands() {
    if device() != Device::flex() {
        return;
    }
    for shape in SHAPES.into_iter().filter(|[_, positions, ..]| *positions < 1000) {
        for (turned, seen) in [(false, 0), (true, shape[1])] {
            let (x, form) = attention_of(shape, turned, seen);
            let form = Attention { products: Some(products()), ..form };
            let found = slopes(|x| ops::attention(x, &form), &x);
            let expected = slopes(|x| attention_formula(x, &form), &x);
            for (found, expected) in found.iter().zip(&expected) {
                let error = error(found, expected);
                // At most 2^-8 for each operand, some three of them one after the other.
                assert!(error < 0.01, "{shape:?} {turned}: {error}");
                // And they are rounded.
                assert!(error > 1e-4, "{shape:?} {turned}: {error}");
            }
        }
    }
}

#[test]
fn rounded_attention_has_the_same_bits_on_any_number_of_threads_alone_and_beside_others() {
    if device() != Device::flex() {
        return;
    }
    for [batch, positions, heads, groups, width] in [[20, 60, 2, 2, 24], [3, 300, 4, 2, 24]] {
        let (x, form) = attention_of([batch, positions, heads, groups, width], true, positions);
        let form = Attention { products: Some(products()), ..form };
        threads_and_others_change_no_bit(x, &form);
    }
}

#[test]
fn padding_behind_what_is_seen_changes_no_bit_of_rounded_attention() {
    if device() != Device::flex() {
        return;
    }
    let (x, form) = attention_of([2, 300, 4, 2, 24], true, 300);
    let form = Attention { products: Some(products()), ..form };
    for (seen, longer) in [(9, &[15, 16, 22, 40, 144][..]), (130, &[131, 200, 256, 300])] {
        padding_changes_no_bit(&x, &form, seen, longer);
    }
}
