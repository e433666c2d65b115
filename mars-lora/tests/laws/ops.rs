//! Operations with gradients of their own, against burn's.

mod attention;
mod attention_rounded;
mod blocks;
mod fused;

use burn::tensor::module::layer_norm;
use burn::tensor::{DType, Device, Tensor, TensorData, activation};
use mars_lora::ops::{self, Swish};
use mars_testkit::device::device;

fn tensor<const D: usize>(salt: u64, shape: [usize; D], size: f32) -> Tensor<D> {
    let values = crate::toy::numbers(salt, shape.iter().product(), size);
    Tensor::from_data(TensorData::new(values, shape), &device())
}

fn values<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    x.without_autodiff().into_data().iter::<f32>().collect()
}

/// Largest difference over the largest expected value.
fn gap(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let size = expected.iter().fold(0.0f32, |most, v| most.max(v.abs()));
    assert!(size > 1e-3, "nothing is expected");
    let differences = found.iter().zip(expected).map(|(a, b)| a - b);
    differences.map(|d| if d.is_nan() { f32::INFINITY } else { d.abs() }).fold(0.0, f32::max) / size
}

type Function<'a> = &'a dyn Fn(Tensor<3>) -> Tensor<3>;

/// Compares values and the gradients of all `inputs` of `own` and `known`, weighted at random.
fn compare<const N: usize>(
    what: &str,
    inputs: [Tensor<3>; N],
    own: impl Fn([Tensor<3>; N]) -> Tensor<3>,
    known: impl Fn([Tensor<3>; N]) -> Tensor<3>,
) {
    let run = |f: &dyn Fn([Tensor<3>; N]) -> Tensor<3>| {
        let leaves = inputs.clone().map(|x| x.autodiff().require_grad());
        let y = f(leaves.clone());
        let weights = tensor(99, y.dims(), 1.0);
        let mut gradients = (y.clone() * weights.autodiff()).sum().backward();
        (values(y), leaves.map(|leaf| values(leaf.grad_remove(&mut gradients).unwrap())))
    };
    let ((y, slopes), (expected, wanted)) = (run(&own), run(&known));
    // GPUs have exponentials of their own.
    let rounding = if device() == Device::flex() { 1.0 } else { 4.0 };
    assert!(gap(&y, &expected) < 2e-6 * rounding, "{what}: values differ by {}", gap(&y, &expected));
    for (n, (found, expected)) in slopes.iter().zip(&wanted).enumerate() {
        let gap = gap(found, expected);
        assert!(gap < 3e-6 * rounding, "{what}: gradient {n} differs by {gap}");
    }
    let plain = own(inputs.clone());
    assert!(!plain.is_autodiff());
    assert_eq!(values(plain), y, "{what}: another result without a graph");
}

/// Shapes with one row, odd widths, and more values than one task takes.
const SHAPES: [[usize; 3]; 4] = [[1, 1, 5], [2, 3, 17], [1, 2, 64], [3, 40, 301]];

#[test]
fn softmax_is_burns() {
    for shape in SHAPES {
        compare("softmax", [tensor(1, shape, 6.0)], |[x]| ops::softmax(x), |[x]| activation::softmax(x, 2));
    }
}

#[test]
fn activations_are_burns() {
    for shape in SHAPES {
        let (x, up) = (tensor(2, shape, 8.0), tensor(3, shape, 2.0));
        let quick = |x: Tensor<3>| x.clone() * activation::sigmoid(x.mul_scalar(1.702));
        let all: [(&str, Swish, Function<'_>); 3] = [
            ("silu", Swish::SILU, &activation::silu),
            ("tanh gelu", Swish::TANH_GELU, &activation::gelu_approximate),
            ("quick gelu", Swish::QUICK_GELU, &quick),
        ];
        for (name, swish, known) in all {
            compare(name, [x.clone()], |[x]| swish.apply(x), |[x]| known(x));
            let both = [x.clone(), up.clone()];
            compare(name, both, |[gate, up]| swish.gate(gate, up), |[gate, up]| known(gate) * up);
        }
    }
}

#[test]
fn norms_are_burns() {
    for shape in SHAPES {
        let x = tensor(4, shape, 3.0) + 0.7;
        let gamma = tensor::<1>(5, [shape[2]], 1.0) + 1.0;
        let beta = tensor::<1>(6, [shape[2]], 1.0);
        let rms = |x: Tensor<3>| {
            let root = (x.clone().square().mean_dim(2) + 1e-3).sqrt();
            x / root * gamma.clone().unsqueeze()
        };
        compare("rms norm", [x.clone()], |[x]| ops::rms_norm(x, gamma.clone(), 1e-3), |[x]| rms(x));
        compare(
            "layer norm",
            [x],
            |[x]| ops::layer_norm(x, gamma.clone(), beta.clone(), 1e-3),
            |[x]| layer_norm(x, gamma.clone(), Some(beta.clone()), 1e-3),
        );
    }
}

#[test]
fn a_weight_in_half_precision_is_the_rounded_weight() {
    let x = tensor::<2>(7, [5, 33], 1.0);
    let weight = tensor::<2>(8, [33, 9], 1.0);
    for dtype in [DType::BF16, DType::F16].into_iter().filter(|dtype| device().supports_dtype(*dtype)) {
        let half = weight.clone().cast(dtype);
        let run = |weight: Tensor<2>| {
            let x = x.clone().autodiff().require_grad();
            let y = ops::product(x.clone(), weight);
            assert_eq!(y.dtype(), DType::F32);
            let mut gradients = (y.clone() * y.clone()).sum().backward();
            (values(y), values(x.grad_remove(&mut gradients).unwrap()))
        };
        let rounded = half.clone().cast(DType::F32);
        assert_ne!(values(rounded.clone()), values(weight.clone()));
        let in_half = ops::in_half(&half);
        assert!(!in_half || device() != Device::flex() && dtype == DType::BF16);
        let ((y, slope), (expected, wanted)) = (run(half), run(rounded));
        if in_half {
            // What it is multiplied with is rounded too, to 8 bits.
            assert!(gap(&y, &expected) < 1e-2 && gap(&slope, &wanted) < 1e-2, "{dtype:?}");
        } else {
            assert_eq!((y, slope), (expected, wanted), "{dtype:?}");
        }
    }
}

#[test]
fn products_are_burns_whichever_side_is_trained() {
    // Vectors, ragged tiles, transposed and batched operands.
    for [batch, rows, inner, columns] in
        [[1, 1, 1, 1], [1, 7, 5, 3], [3, 33, 64, 17], [2, 130, 70, 65], [4, 1, 96, 8]]
    {
        let left = tensor(14, [batch, rows, inner], 1.0);
        let right = tensor(15, [batch, columns, inner], 1.0).swap_dims(1, 2);
        let known = |[left, right]: [Tensor<3>; 2]| {
            let products = left.unsqueeze_dim::<4>(3) * right.unsqueeze_dim::<4>(1);
            products.sum_dim(2).squeeze_dim::<3>(2)
        };
        compare("product", [left.clone(), right.clone()], |[left, right]| ops::matmul(left, right), known);
        compare(
            "left",
            [left.clone()],
            |[left]| ops::matmul(left, right.clone()),
            |[left]| known([left, right.clone()]),
        );
        compare(
            "right",
            [right.clone()],
            |[right]| ops::matmul(left.clone(), right),
            |[right]| known([left.clone(), right]),
        );
    }
}

#[test]
fn the_low_rank_step_is_its_formula_whatever_is_trained() {
    for [adapters, rows, inputs, rank, outputs] in [[1, 1, 1, 1, 1], [1, 9, 20, 3, 7], [3, 17, 33, 8, 40]] {
        let x = tensor(16, [adapters, rows, inputs], 1.0);
        let a = tensor(17, [adapters, rank, inputs], 1.0);
        let b = tensor(18, [adapters, rank, outputs], 1.0);
        let base = tensor(19, [adapters, rows, outputs], 1.0);
        let own = |x, a, b, base| ops::low_rank(x, [a, b], base, 0.7);
        let known = |x: Tensor<3>, a: Tensor<3>, b: Tensor<3>, base: Tensor<3>| {
            base + ops::matmul(ops::matmul(x, a.swap_dims(1, 2)), b).mul_scalar(0.7)
        };
        let all = [x.clone(), a.clone(), b.clone(), base.clone()];
        compare("all", all, |[x, a, b, base]| own(x, a, b, base), |[x, a, b, base]| known(x, a, b, base));
        // As in the first layer with an adapter: neither the input nor the base collects gradients.
        let factors = [a.clone(), b.clone()];
        let frozen = || (x.clone(), base.clone());
        let (f, g) = (
            |[a, b]: [Tensor<3>; 2]| own(frozen().0, a, b, frozen().1),
            |[a, b]: [Tensor<3>; 2]| known(frozen().0, a, b, frozen().1),
        );
        compare("factors", factors, f, g);
        compare(
            "input",
            [x.clone()],
            |[x]| own(x, a.clone(), b.clone(), base.clone()),
            |[x]| known(x, a.clone(), b.clone(), base.clone()),
        );
        compare(
            "base",
            [base.clone()],
            |[base]| own(x.clone(), a.clone(), b.clone(), base),
            |[base]| known(x.clone(), a.clone(), b.clone(), base),
        );
    }
}

#[test]
fn rotations_are_their_formula_also_of_strided_rows() {
    for (batch, tables) in [(1, 1), (3, 1), (3, 3)] {
        let (heads, positions, width) = (2, 5, 6);
        let halves = |salt: u64| {
            let half = tensor::<4>(salt, [tables, 1, positions, width / 2], 1.0);
            Tensor::cat(vec![half.clone(), half], 3)
        };
        let (cos, sin) = (halves(20), halves(21));
        let x = tensor::<3>(22, [batch, positions, heads * width], 1.0);
        let split = |x: Tensor<3>| x.reshape([batch, positions, heads, width]).swap_dims(1, 2);
        let flat = |x: Tensor<4>| x.reshape([batch * heads, positions, width]);
        let known = |x: Tensor<3>| {
            let x = split(x);
            let (a, b) = (x.clone().narrow(3, 0, width / 2), x.clone().narrow(3, width / 2, width / 2));
            flat(x * cos.clone() + Tensor::cat(vec![b.neg(), a], 3) * sin.clone())
        };
        compare("rotation", [x], |[x]| flat(ops::rotate(split(x), cos.clone(), sin.clone())), |[x]| known(x));
    }
}

#[test]
fn norms_and_weights_that_are_trained_get_their_gradients() {
    let x = tensor::<2>(9, [4, 6], 1.0);
    let leaf = |x: Tensor<1>| x.autodiff().require_grad();
    let (gamma, beta) = (leaf(tensor(10, [6], 1.0)), leaf(tensor(11, [6], 1.0)));
    let weight = tensor::<2>(12, [6, 3], 1.0).autodiff().require_grad();
    let y = ops::layer_norm(x.autodiff(), gamma.clone(), beta.clone(), 1e-5);
    let y = ops::product(ops::rms_norm(y, gamma.clone(), 1e-5), weight.clone());
    let mut gradients = y.square().sum().backward();
    for found in [gamma.grad_remove(&mut gradients), beta.grad_remove(&mut gradients)] {
        assert!(values(found.unwrap()).iter().all(|v| *v != 0.0));
    }
    assert!(values(weight.grad_remove(&mut gradients).unwrap()).iter().all(|v| *v != 0.0));
}

#[test]
fn what_is_no_number_stays_in_its_row() {
    let mut x = values(tensor::<2>(13, [3, 20], 1.0));
    x[25] = f32::NAN;
    let x = Tensor::<2>::from_data(TensorData::new(x, [3, 20]), &device());
    let gamma = Tensor::<1>::ones([20], &device());
    let run = |f: &dyn Fn(Tensor<2>) -> Tensor<2>| {
        let leaf = x.clone().autodiff().require_grad();
        let mut gradients = f(leaf.clone()).square().sum().backward();
        (values(f(x.clone())), values(leaf.grad_remove(&mut gradients).unwrap()))
    };
    let all: [&dyn Fn(Tensor<2>) -> Tensor<2>; 4] = [
        &|x| ops::softmax(x),
        &|x| Swish::TANH_GELU.apply(x),
        &|x| ops::rms_norm(x, gamma.clone(), 1e-5),
        &|x| ops::layer_norm(x, gamma.clone(), gamma.clone(), 1e-5),
    ];
    for f in all {
        for found in <[Vec<f32>; 2]>::from(run(f)) {
            assert!(found[25].is_nan());
            assert!(found[..20].iter().chain(&found[40..]).all(|v| v.is_finite()));
        }
    }
    // Far outside, where exponentials overflow.
    let far = Tensor::<1>::from_floats([-1e30, -200.0, 200.0, 1e30], &device());
    for swish in [Swish::SILU, Swish::TANH_GELU] {
        let leaf = far.clone().autodiff().require_grad();
        let mut gradients = swish.apply(leaf.clone()).sum().backward();
        let slopes = values(leaf.grad_remove(&mut gradients).unwrap());
        let expected = [0.0, 0.0, 1.0, 1.0];
        assert!(slopes.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{slopes:?}");
        let found = values(swish.apply(far.clone()));
        assert!(found[0].abs() < 1e-6 && found[1].abs() < 1e-6, "{found:?}");
        assert!(found[2] == 200.0 && (found[3] / 1e30 - 1.0).abs() < 1e-6, "{found:?}");
    }
}
