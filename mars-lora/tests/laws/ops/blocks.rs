//! Linear layers and gates of transformer blocks as steps, against burn's operations.

use super::{gap, tensor, values};
use burn::tensor::{DType, Device, Tensor};
use mars_lora::ops::{self, KeptPanels, Linear, LowRank, Swish};
use mars_testkit::device::device;
use proptest::prelude::*;
use std::ops::Range;

/// Layers of these outputs over the same rows, and the members and rank of each group of adapters.
#[derive(Clone, Debug)]
struct Case {
    adapters: usize,
    rows: usize,
    inputs: usize,
    outputs: Vec<usize>,
    groups: Vec<(Range<usize>, usize)>,
    weights: bool,
    bias: bool,
    base: bool,
}

impl Case {
    fn width(&self) -> usize {
        self.outputs.iter().sum()
    }

    /// x, base, and A and B of each layer and group, for the adapters `own`.
    fn leaves(&self, own: &Range<usize>) -> Vec<Tensor<3>> {
        let part = |x: Tensor<3>, members: &Range<usize>| {
            let (from, to) = (members.start.max(own.start), members.end.min(own.end));
            x.narrow(0, from - members.start, to.saturating_sub(from))
        };
        let all = 0..self.adapters;
        let mut leaves = vec![
            part(tensor(1, [self.adapters, self.rows, self.inputs], 1.0), &all),
            part(tensor(2, [self.adapters, self.rows, self.width()], 1.0), &all),
        ];
        for (layer, outputs) in self.outputs.iter().enumerate() {
            for (n, (members, rank)) in self.groups.iter().enumerate().filter(|(_, g)| meets(&g.0, own)) {
                let salt = 10 + 7 * layer as u64 + 100 * n as u64;
                leaves.push(part(tensor(salt, [members.len(), *rank, self.inputs], 1.0), members));
                leaves.push(part(tensor(salt + 1, [members.len(), *rank, *outputs], 1.0), members));
            }
        }
        leaves
    }

    /// Values, and the gradients of all leaves, of the step or of its formula.
    fn run(&self, own: &Range<usize>, formula: bool) -> (Vec<f32>, Vec<Vec<f32>>) {
        let leaves: Vec<Tensor<3>> =
            self.leaves(own).into_iter().map(|x| x.autodiff().require_grad()).collect();
        let y = self.result(own, &leaves, formula);
        let plain: Vec<Tensor<3>> = leaves.iter().map(|x| x.clone().without_autodiff()).collect();
        assert_eq!(
            values(y.clone()),
            values(self.result(own, &plain, formula)),
            "another result without a graph"
        );
        let weights = tensor::<3>(99, [self.adapters, self.rows, self.width()], 1.0);
        let weights = weights.narrow(0, own.start, own.len()).reshape(y.dims());
        let mut gradients = (y.clone() * weights.autodiff()).sum().backward();
        let slopes =
            leaves.iter().map(|leaf| leaf.grad_remove(&mut gradients).map(values).unwrap_or_default());
        (values(y), slopes.collect())
    }

    fn result(&self, own: &Range<usize>, leaves: &[Tensor<3>], formula: bool) -> Tensor<2> {
        let count = own.len();
        let flat = |x: &Tensor<3>, width: usize| x.clone().reshape([count * self.rows, width]);
        let mut factors = leaves[2..].chunks_exact(2);
        let layers = self.outputs.iter().enumerate().map(|(layer, outputs)| Linear {
            // As checkpoints have it, and as it is.
            weight: self.weights.then(|| match layer {
                0 => tensor(60, [*outputs, self.inputs], 1.0).transpose(),
                _ => tensor(60 + layer as u64, [self.inputs, *outputs], 1.0),
            }),
            outputs: *outputs,
            bias: self.bias.then(|| tensor(70 + layer as u64, [*outputs], 1.0)),
            factors: self
                .groups
                .iter()
                .filter(|(members, _)| meets(members, own))
                .zip(&mut factors)
                .map(|((members, _), both)| {
                    let members =
                        members.start.max(own.start) - own.start..members.end.min(own.end) - own.start;
                    let scales = members.clone().map(|k| 0.5 + 0.25 * (own.start + k) as f32).collect();
                    LowRank { members, scales, a: both[0].clone(), b: both[1].clone() }
                })
                .collect(),
            panels: KeptPanels::default(),
        });
        let layers: Vec<Linear> = layers.collect();
        // In memory that nothing else holds, where it is written to.
        let (x, base) = (flat(&leaves[0], self.inputs), flat(&leaves[1], self.width()).mul_scalar(1.0));
        if !formula {
            return ops::linears(x, layers, self.base.then_some(base), count);
        }
        let rows = |x: &Tensor<2>, k: usize| x.clone().narrow(0, k * self.rows, self.rows);
        let of_adapter = |k: usize| {
            let outputs = layers.iter().map(|layer| {
                let mut y = match &layer.weight {
                    Some(weight) => rows(&x, k).matmul(weight.clone()),
                    None => Tensor::zeros([self.rows, layer.outputs], &device()),
                };
                if let Some(bias) = &layer.bias {
                    y = y + bias.clone().unsqueeze();
                }
                for f in layer.factors.iter().filter(|f| f.members.contains(&k)) {
                    let n = k - f.members.start;
                    let one = |x: &Tensor<3>| x.clone().narrow(0, n, 1).squeeze_dim::<2>(0);
                    let low = rows(&x, k).matmul(one(&f.a).transpose());
                    y = y + low.matmul(one(&f.b)).mul_scalar(f.scales[n]);
                }
                y
            });
            Tensor::cat(outputs.collect(), 1)
        };
        let y = Tensor::cat((0..count).map(of_adapter).collect(), 0);
        if self.base { y + base } else { y }
    }

    /// The step is its formula, and each adapter has the bits that it has alone.
    fn check(&self) {
        let all = 0..self.adapters;
        let ((y, slopes), (expected, wanted)) = (self.run(&all, false), self.run(&all, true));
        assert!(gap(&y, &expected) < 5e-6, "{self:?}: values differ by {}", gap(&y, &expected));
        for (n, (found, expected)) in slopes.iter().zip(&wanted).enumerate() {
            if !expected.is_empty() {
                assert!(gap(found, expected) < 3e-5, "{self:?}: gradient {n} differs");
            }
        }
        if device() != Device::flex() {
            return;
        }
        for k in all {
            let (alone, own) = self.run(&(k..k + 1), false);
            let size = self.rows * self.width();
            assert_eq!(alone, y[k * size..][..size], "{self:?}: adapter {k} alone");
            let size = self.rows * self.inputs;
            assert_eq!(own[0], slopes[0][k * size..][..size], "{self:?}: gradient of adapter {k} alone");
            let mut of_factors = own[2..].iter();
            let per_layer = self.groups.iter().map(|(members, _)| members);
            let places = self.outputs.iter().flat_map(|_| per_layer.clone());
            for (members, together) in places.zip(slopes[2..].chunks_exact(2)) {
                for slope in together.iter().filter(|_| members.contains(&k)) {
                    let size = slope.len() / members.len();
                    let own = of_factors.next().unwrap();
                    assert_eq!(*own, slope[(k - members.start) * size..][..size], "{self:?}: factor alone");
                }
            }
        }
    }
}

fn meets(members: &Range<usize>, own: &Range<usize>) -> bool {
    members.start < own.end && own.start < members.end
}

fn case() -> impl Strategy<Value = Case> {
    let group = (1usize..3, 0usize..2, 2usize..10);
    let sizes = (2usize..20, 2usize..40, prop::collection::vec(1usize..80, 1..4));
    (prop::collection::vec(group, 1..7), 0usize..2, sizes, any::<[bool; 3]>()).prop_map(
        |(groups, rest, (rows, inputs, outputs), [weights, bias, base])| {
            let mut end = 0;
            let groups = groups.into_iter().map(|(count, gap, rank)| {
                let start = end + gap;
                end = start + count;
                (start..end, rank)
            });
            let groups = groups.collect();
            Case { adapters: end + rest, rows, inputs, outputs, groups, weights, bias, base }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn linears_are_their_formula_and_adapters_do_not_touch(case in case()) {
        case.check();
    }
}

#[test]
fn linears_without_adapters_are_products() {
    let outputs = vec![5, 70];
    let case = Case {
        adapters: 2,
        rows: 3,
        inputs: 9,
        outputs,
        groups: vec![],
        weights: true,
        bias: true,
        base: true,
    };
    case.check();
    // Of none of them there is nothing but bias and base.
    Case { weights: false, ..case }.check();
}

#[test]
fn panels_of_another_weight_are_never_used() {
    let x = tensor::<3>(3, [1, 5, 33], 1.0);
    let run = |weight: &Tensor<2>, panels: &KeptPanels| {
        let leaf = x.clone().autodiff().require_grad();
        let (weight, panels) = (weight.clone(), panels.clone());
        let layer = Linear { outputs: 33, weight: Some(weight), bias: None, factors: vec![], panels };
        let y = ops::linears(leaf.clone(), vec![layer], None, 1);
        let mut gradients = y.clone().square().sum().backward();
        (values(y), values(leaf.grad_remove(&mut gradients).unwrap()))
    };
    let kept = KeptPanels::default();
    let check = |weight: &Tensor<2>| {
        let fresh = run(weight, &KeptPanels::default());
        assert!(run(weight, &kept) == fresh && run(weight, &kept) == fresh);
        fresh
    };
    let weight = tensor::<2>(4, [33, 33], 1.0);
    let first = check(&weight);
    // burn would multiply in place if the panels did not share the memory of the weight.
    let weight = weight.mul_scalar(2.0);
    assert!(check(&weight) != first);
    // The same memory in another order, of another type, and another part of it.
    check(&weight.clone().transpose());
    if device().supports_dtype(DType::BF16) {
        check(&weight.clone().cast(DType::BF16));
    }
    let tall = tensor::<2>(5, [66, 33], 1.0);
    let parts = [0, 33].map(|from| check(&tall.clone().narrow(0, from, 33)));
    assert!(parts[0] != parts[1]);
}

#[test]
fn large_linears_have_the_same_bits_on_any_number_of_threads() {
    let groups = vec![(0..1, 8), (1..2, 3)];
    for (weights, outputs) in [(true, 130), (false, 300)] {
        let (groups, outputs, bias, base) = (groups.clone(), vec![outputs], true, true);
        let case = Case { adapters: 2, rows: 2100, inputs: 260, outputs, groups, weights, bias, base };
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| case.run(&(0..2), false))
        };
        let one = on(1);
        assert!(on(3) == one, "{weights}");
        let ((y, slopes), (expected, wanted)) = (one, case.run(&(0..2), true));
        assert!(gap(&y, &expected) < 5e-6, "{weights}: values differ by {}", gap(&y, &expected));
        for (n, (found, expected)) in slopes.iter().zip(&wanted).enumerate() {
            assert!(
                gap(found, expected) < 3e-5,
                "{weights}: gradient {n} differs by {}",
                gap(found, expected)
            );
        }
    }
}

#[test]
fn gates_side_by_side_are_gates() {
    for shape in [[1, 1, 2], [2, 3, 34], [3, 40, 602]] {
        let half = shape[2] / 2;
        let apart =
            |x: Tensor<3>, swish: Swish| swish.gate(x.clone().narrow(2, 0, half), x.narrow(2, half, half));
        for swish in [Swish::SILU, Swish::TANH_GELU] {
            let x = tensor(4, shape, 3.0);
            super::compare("gate", [x], |[x]| ops::gate_rows(x, swish), |[x]| apart(x, swish));
        }
    }
}

#[test]
#[should_panic(expected = "the weight of a layer, and the widths of its rows")]
fn rows_of_another_width_than_the_layer_reads_are_refused() {
    let layer = Linear {
        weight: Some(tensor(1, [3, 4], 1.0)),
        outputs: 4,
        bias: None,
        factors: Vec::new(),
        panels: KeptPanels::default(),
    };
    ops::linears(tensor::<2>(2, [2, 5], 1.0), vec![layer], None, 1);
}

#[test]
fn parts_of_a_layer_that_do_not_fit_are_refused() {
    let layer = || Linear {
        weight: None,
        outputs: 4,
        bias: Some(tensor(1, [4], 1.0)),
        factors: vec![LowRank {
            members: 0..2,
            scales: vec![1.0; 2],
            a: tensor(2, [2, 3, 5], 1.0),
            b: tensor(3, [2, 3, 4], 1.0),
        }],
        panels: KeptPanels::default(),
    };
    let with = |change: &dyn Fn(&mut Linear)| {
        let mut layer = layer();
        change(&mut layer);
        layer
    };
    let of = |change: &dyn Fn(&mut LowRank)| with(&|layer| layer.factors.iter_mut().for_each(change));
    let run = |layer: Linear, base: [usize; 2]| {
        let x = tensor::<2>(4, [6, 5], 1.0);
        let y = || ops::linears(x, vec![layer], Some(tensor(5, base, 1.0)), 2);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(y)).is_ok()
    };
    assert!(run(layer(), [6, 4]));
    assert!(!run(layer(), [6, 5]) && !run(layer(), [5, 4]));
    let wrong = [
        with(&|layer| layer.outputs = 3),
        with(&|layer| layer.bias = Some(tensor(1, [8], 1.0))),
        with(&|layer| layer.factors.push(layer.factors[0].clone())),
        of(&|own| own.a = tensor(2, [2, 3, 6], 1.0)),
        of(&|own| own.b = tensor(2, [2, 3, 5], 1.0)),
        of(&|own| own.b = tensor(2, [2, 2, 4], 1.0)),
        of(&|own| own.scales.truncate(1)),
        of(&|own| own.members = 1..3),
        of(&|own| own.members = 0..1),
    ];
    assert!(wrong.into_iter().all(|layer| !run(layer, [6, 4])));
}
