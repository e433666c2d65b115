//! The fused low-rank step, against the step of batched products and against loops in f64.

use super::values;
use crate::toy::numbers;
use burn::tensor::{Int, Tensor, TensorData};
use mars_lora::ops;
use mars_testkit::device::device;
use proptest::prelude::*;

const SCALE: f32 = 0.7;

/// Adapters of these ranks, with the values of all tensors.
#[derive(Clone, Debug)]
struct Case {
    ranks: Vec<usize>,
    /// Rows, inputs, outputs.
    sizes: [usize; 3],
    /// x, A, B, base, and the gradient of the result.
    data: [Vec<f32>; 5],
}

impl Case {
    fn new(ranks: Vec<usize>, sizes: [usize; 3], salt: u64) -> Self {
        let [rows, inputs, outputs] = sizes;
        let all = |n: u64, width: usize| numbers(salt + n, ranks.len() * rows * width, 1.0);
        let factor = |n: u64, width: usize| {
            let mut values = numbers(salt + n, ranks.len() * highest(&ranks) * width, 1.0);
            for (own, rank) in values.chunks_mut(highest(&ranks) * width).zip(&ranks) {
                own[rank * width..].fill(0.0);
            }
            values
        };
        let data = [all(1, inputs), factor(2, inputs), factor(3, outputs), all(4, outputs), all(5, outputs)];
        Self { ranks, sizes, data }
    }

    /// Height and width of the tensors of `data`.
    fn shapes(&self) -> [[usize; 2]; 5] {
        let ([rows, inputs, outputs], rank) = (self.sizes, highest(&self.ranks));
        [[rows, inputs], [rank, inputs], [rank, outputs], [rows, outputs], [rows, outputs]]
    }

    /// Values and gradients of x, A, B and base.
    fn run(&self, step: impl Fn([Tensor<3>; 4], Tensor<1, Int>) -> Tensor<3>) -> [Vec<f32>; 5] {
        let mut tensors = self.data.iter().zip(self.shapes()).map(|(values, [height, width])| {
            let data = TensorData::new(values.clone(), [self.ranks.len(), height, width]);
            Tensor::<3>::from_data(data, &device())
        });
        let leaves = [(); 4].map(|()| tensors.next().unwrap().autodiff().require_grad());
        let grad = tensors.next().unwrap();
        let ranks: Vec<i32> = self.ranks.iter().map(|rank| *rank as i32).collect();
        let ranks = Tensor::<1, Int>::from_data(TensorData::new(ranks, [self.ranks.len()]), &device());
        let y = step(leaves.clone(), ranks.clone());
        let plain = values(step(leaves.clone().map(Tensor::without_autodiff), ranks));
        let mut gradients = (y.clone() * grad.autodiff()).sum().backward();
        let [x, a, b, base] = leaves.map(|leaf| values(leaf.grad_remove(&mut gradients).unwrap()));
        let y = values(y);
        let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&plain), bits(&y), "another result without a graph");
        [y, x, a, b, base]
    }

    fn fused(&self) -> [Vec<f32>; 5] {
        self.run(|[x, a, b, base], ranks| ops::fused_low_rank(x, [a, b], base, ranks, SCALE))
    }

    fn products(&self) -> [Vec<f32>; 5] {
        self.run(|[x, a, b, base], _| ops::low_rank(x, [a, b], base, SCALE))
    }

    /// What both shall be.
    fn expected(&self) -> [Vec<f64>; 5] {
        let mut all: [Vec<f64>; 5] = [const { Vec::new() }; 5];
        for k in 0..self.ranks.len() {
            let own = |n: usize| {
                let shape = self.shapes()[n];
                let size = shape[0] * shape[1];
                (shape, self.data[n][k * size..][..size].iter().map(|v| f64::from(*v)).collect::<Vec<_>>())
            };
            let [x, a, b, base, grad] = [own(0), own(1), own(2), own(3), own(4)];
            let scaled =
                |(shape, values): Matrix| (shape, values.iter().map(|v| v * f64::from(SCALE)).collect());
            let low = scaled(times(&x, &turned(&a)));
            let slope = scaled(times(&grad, &turned(&b)));
            let y = times(&low, &b).1.iter().zip(&base.1).map(|(a, b)| a + b).collect();
            let factors = [times(&turned(&slope), &x).1, times(&turned(&low), &grad).1];
            let [of_a, of_b] = factors;
            let parts = [y, times(&slope, &a).1, of_a, of_b, grad.1];
            all.iter_mut().zip(parts).for_each(|(all, part)| all.extend(part));
        }
        all
    }
}

type Matrix = ([usize; 2], Vec<f64>);

fn times(([height, inner], left): &Matrix, ([_, width], right): &Matrix) -> Matrix {
    let value = |at: usize| {
        let (row, column) = (at / width, at % width);
        (0..*inner).map(|n| left[row * inner + n] * right[n * width + column]).sum()
    };
    ([*height, *width], (0..height * width).map(value).collect())
}

fn turned(([height, width], values): &Matrix) -> Matrix {
    ([*width, *height], (0..height * width).map(|at| values[at % height * width + at / height]).collect())
}

fn highest(ranks: &[usize]) -> usize {
    ranks.iter().copied().max().unwrap()
}

const NAMES: [&str; 5] = ["result", "gradient of x", "gradient of A", "gradient of B", "gradient of base"];

/// Within the rounding of two sums of up to some hundred products in f32, relative to the largest value.
fn close(found: &[Vec<f32>; 5], expected: &[Vec<f64>; 5], what: &str) {
    for ((found, expected), name) in found.iter().zip(expected).zip(NAMES) {
        assert_eq!(found.len(), expected.len(), "{what}: {name}");
        let size = expected.iter().fold(1.0f64, |most, v| most.max(v.abs()));
        let gaps = found.iter().zip(expected).map(|(a, b)| (f64::from(*a) - b).abs());
        let gap = gaps.map(|gap| if gap.is_nan() { f64::INFINITY } else { gap }).fold(0.0, f64::max) / size;
        assert!(gap < 1e-5, "{what}: {name} differs by {gap}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Ranks in any order, tiles that are full and ragged.
    #[test]
    fn fused_is_products_is_the_formula(
        ranks in proptest::collection::vec(prop_oneof![1..9_usize, 1..65_usize], 1..9),
        rows in 1..70_usize,
        inputs in 1..150_usize,
        outputs in 1..300_usize,
        salt in 0..1000_u64,
    ) {
        let case = Case::new(ranks, [rows, inputs, outputs], 10 * salt);
        let expected = case.expected();
        close(&case.fused(), &expected, "fused");
        close(&case.products(), &expected, "products");
    }
}

#[test]
fn tiles_at_their_limits() {
    let sizes = [[1, 1, 1], [16, 32, 128], [17, 33, 129], [32, 64, 32], [5, 3, 256]];
    for (ranks, sizes) in [vec![1], vec![64], vec![8, 9], vec![16, 1, 64], vec![0, 3]].into_iter().zip(sizes)
    {
        let case = Case::new(ranks, sizes, 3000);
        close(&case.fused(), &case.expected(), &format!("ranks {:?}, sizes {sizes:?}", case.ranks));
    }
}

#[test]
fn a_rank_that_has_no_kernel_is_products() {
    let case = Case::new(vec![70, 3], [9, 20, 30], 4000);
    assert_eq!(case.fused(), case.products());
    close(&case.fused(), &case.expected(), "rank 70");
}

#[test]
fn without_rows_gradients_of_factors_are_zero() {
    let case = Case::new(vec![2, 3], [0, 5, 7], 5000);
    let [y, x, a, b, base] = case.fused();
    assert!([y, x, base].iter().all(Vec::is_empty));
    assert_eq!([a, b], [vec![0.0; 2 * 3 * 5], vec![0.0; 2 * 3 * 7]]);
}

#[test]
fn views_are_what_they_show() {
    let case = Case::new(vec![4, 2, 7], [21, 3, 50], 6000);
    let turned = |x: Tensor<3>| x.swap_dims(1, 2);
    let views = case.run(|[x, a, b, base], ranks| {
        // Written the other way round, and read as before.
        let [x, a, b, base] = [x, a, b, base].map(|x| turned(turned(x) * 1.0));
        let wide = Tensor::cat(vec![base.clone(), base], 2).narrow(2, 50, 50);
        ops::fused_low_rank(x, [a, b], wide, ranks, SCALE)
    });
    close(&views, &case.expected(), "views");
}

#[test]
fn frozen_parts_change_nothing_for_the_others() {
    let case = Case::new(vec![2, 5], [11, 12, 13], 7000);
    let all = case.fused();
    for frozen in 0..4 {
        let some = case.run(|mut leaves, ranks| {
            // Read beside, so that each has a gradient.
            let beside = leaves.clone().map(|x| x.sum().mul_scalar(0.0).reshape([1, 1, 1]));
            leaves[frozen] = leaves[frozen].clone().without_autodiff();
            let [x, a, b, base] = leaves;
            let y = ops::fused_low_rank(x, [a, b], base, ranks, SCALE);
            beside.into_iter().fold(y, |y, nothing| y + nothing)
        });
        for (n, (found, expected)) in some.iter().zip(&all).enumerate() {
            match n == frozen + 1 {
                true => assert!(found.iter().all(|v| *v == 0.0)),
                false => assert_eq!(found, expected, "{} with {} frozen", NAMES[n], NAMES[frozen + 1]),
            }
        }
    }
}

#[test]
fn what_is_no_number_stays_in_its_adapter() {
    let finite = Case::new(vec![6; 3], [20, 40, 50], 8000);
    let known = finite.fused();
    for (tensor, value) in [
        (0, f32::NAN),
        (0, f32::INFINITY),
        (1, f32::NAN),
        (2, f32::NEG_INFINITY),
        (3, f32::NAN),
        (4, f32::NAN),
    ] {
        let mut case = finite.clone();
        let own = case.data[tensor].len() / 3;
        case.data[tensor][own + own / 2] = value;
        let what = format!("{value} in tensor {tensor}");
        for (n, (found, products)) in case.fused().iter().zip(case.products()).enumerate() {
            let finite = |values: &[f32]| values.iter().map(|v| v.is_finite()).collect::<Vec<_>>();
            assert_eq!(finite(found), finite(&products), "{what}: {}", NAMES[n]);
            let own = found.len() / 3;
            assert_eq!(found[..own], known[n][..own], "{what}: {}", NAMES[n]);
            assert_eq!(found[2 * own..], known[n][2 * own..], "{what}: {}", NAMES[n]);
        }
    }
}

#[test]
fn what_pads_a_lower_rank_stays_zero_beside_what_is_no_number() {
    let mut case = Case::new(vec![2, 8], [5, 6, 7], 9000);
    case.data[0][3] = f32::NAN;
    let [y, _, a, b, _] = case.fused();
    assert!(y[..7].iter().all(|v| v.is_nan()) && y[7..].iter().all(|v| v.is_finite()));
    // On the CPU the zeros are multiplied.
    if device() != burn::tensor::Device::flex() {
        assert!(a[2 * 6..8 * 6].iter().chain(&b[2 * 7..8 * 7]).all(|v| *v == 0.0));
    }
}
