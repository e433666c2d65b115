//! Frozen layers that read the same rows, with the low-rank factors of a stack, as one step of the graph.

// Without a backend the generated dispatch has no arm that would use its arguments.
#![cfg_attr(not(any(feature = "cpu", feature = "gpu")), allow(unused_variables))]

use super::kept_panels::KeptPanels;
use super::list::List;
use super::{matmul, on_cpu, product};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, Dispatch, backend_extension};
use burn::tensor::{DType, Tensor};
use std::ops::Range;

/// A frozen layer and the factors that act on it.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[inputs, outputs]`; `None` where its product is in what the results are added to.
    pub weight: Option<Tensor<2>>,
    /// Width of the result.
    pub outputs: usize,
    /// `[outputs]`.
    pub bias: Option<Tensor<1>>,
    /// Factors of neighbouring adapters, in their order; adapters may have none.
    pub factors: Vec<LowRank>,
    /// Kept by the layer from one pass to the next.
    pub panels: KeptPanels,
}

impl Linear {
    /// Compares its parts with each other, with the width of its rows, and with the number of adapters.
    fn check(&self, inputs: usize, adapters: usize) {
        let outputs = self.outputs;
        let shape = self.weight.as_ref().map_or([inputs, outputs], Tensor::dims);
        assert_eq!(shape, [inputs, outputs], "the weight of a layer, and the widths of its rows and results");
        let width = self.bias.as_ref().map_or(outputs, |bias| bias.dims()[0]);
        assert_eq!(width, outputs, "the bias of a layer, and the width of its results");
        let mut end = 0;
        for LowRank { members, scales, a, b } in &self.factors {
            assert!(
                members.start >= end && members.end <= adapters,
                "{members:?} of {adapters} adapters, behind {end}"
            );
            end = members.end;
            let [count, rank, _] = a.dims();
            assert_eq!([members.len(), scales.len()], [count; 2], "members and scales of A {:?}", a.dims());
            let expected = [[count, rank, inputs], [count, rank, outputs]];
            assert_eq!([a.dims(), b.dims()], expected, "A and B of a layer {inputs} x {outputs}");
        }
    }
}

/// Factors of the adapters `members`.
#[derive(Clone, Debug)]
pub struct LowRank {
    /// Adapters of the stack, n of them.
    pub members: Range<usize>,
    /// Of each member.
    pub scales: Vec<f32>,
    /// `[n, R, inputs]`.
    pub a: Tensor<3>,
    /// `[n, R, outputs]`.
    pub b: Tensor<3>,
}

/// Weights of a layer up to which [`linears`] multiplies with them in loops of its own.
const SMALL: usize = 1 << 16;

/// Groups of adapters that one step takes: it has two parents for each of them and each layer.
pub(super) const GROUPS: usize = 4;

/// Whether [`linears`] of layers with these weights is one step of the graph: on the CPU backend, for small frozen weights that are
/// not quantised, so that panels of them fit the cache of a processor.
pub fn fuses_linears(weight: &Tensor<2>) -> bool {
    let [inputs, outputs] = weight.dims();
    let number = matches!(weight.dtype(), DType::F32 | DType::BF16 | DType::F16);
    number && inputs * outputs <= SMALL && !weight.is_tracked() && on_cpu(&weight.device())
}

/// `x W + bias + scale (x A^T) B` of all layers side by side, `[.., sum of outputs]`, added to `base` if there is one. `x` is `[..,
/// inputs]` with the rows of each of K adapters together.
///
/// One step of the graph for each four groups of adapters, if every weight that there is suits that ([`fuses_linears`]). Weights and biases
/// are constants, so their gradients are not formed. On the CPU backend a row of the result and of the gradient of `x`, and the gradients of
/// an adapter's factors, have the same bits whatever other adapters there are.
///
/// # Panics
/// If shapes do not fit together, or where layers divide many adapters into different groups.
pub fn linears<const D: usize>(
    x: Tensor<D>,
    layers: Vec<Linear>,
    base: Option<Tensor<D>>,
    adapters: usize,
) -> Tensor<D> {
    let (rows, inputs): (usize, usize) = (x.dims()[..D - 1].iter().product(), x.dims()[D - 1]);
    layers.iter().for_each(|layer| layer.check(inputs, adapters));
    assert!(rows.is_multiple_of(adapters), "{rows} rows of {adapters} adapters");
    if let Some(base) = &base {
        let mut dims = x.dims();
        dims[D - 1] = layers.iter().map(|layer| layer.outputs).sum();
        assert_eq!(base.dims(), dims, "the base, and the results that are added to it");
    }
    let whole = |layer: &Linear| layer.weight.as_ref().is_none_or(fuses_linears);
    let fused = x.dtype() == DType::F32 && on_cpu(&x.device()) && layers.iter().all(whole);
    let most = layers.iter().map(|layer| layer.factors.len()).max().unwrap_or(0);
    if let (true, true, [layer @ Linear { weight: None, .. }]) = (fused, most > GROUPS, &layers[..]) {
        return chained(x, layer, base, adapters);
    }
    if !fused || most > GROUPS {
        let mut dims = x.dims();
        let rows = |x: Tensor<D>| -> Tensor<2> { x.flatten(0, D - 2) };
        let base = base.map(rows);
        let y = match fused {
            true => divided(rows(x), layers, base, adapters),
            false => composed(rows(x), layers, base, adapters),
        };
        dims[D - 1] = y.dims()[1];
        return y.reshape(dims);
    }
    let plan = Plan {
        adapters,
        layers: layers
            .iter()
            .map(|layer| PlannedLayer {
                weight: layer.weight.is_some(),
                outputs: layer.outputs,
                bias: layer.bias.is_some(),
                groups: layer.factors.iter().map(|f| (f.members.clone(), f.scales.clone())).collect(),
                panels: layer.panels.clone(),
            })
            .collect(),
    };
    let (mut weights, mut biases, mut factors) = (Vec::new(), Vec::new(), Vec::new());
    for layer in layers {
        weights.extend(layer.weight.map(Tensor::into_dispatch));
        biases.extend(layer.bias.map(Tensor::into_dispatch));
        factors.extend(layer.factors.into_iter().flat_map(|f| [f.a.into_dispatch(), f.b.into_dispatch()]));
    }
    let base: Vec<_> = base.map(Tensor::into_dispatch).into_iter().collect();
    let (weights, biases, factors, base) = (List(weights), List(biases), List(factors), List(base));
    let y = <Dispatch as LinearOps>::linears(x.into_dispatch(), weights, biases, factors, base, plan);
    Tensor::from_dispatch(y)
}

/// [`linears`] of a layer without weights, a few groups of adapters after the others.
fn chained<const D: usize>(
    x: Tensor<D>,
    layer: &Linear,
    base: Option<Tensor<D>>,
    adapters: usize,
) -> Tensor<D> {
    let (first, rest) = layer.factors.split_at(GROUPS.min(layer.factors.len()));
    let of = |factors: &[LowRank], bias| Linear { factors: factors.to_vec(), bias, ..layer.clone() };
    let begun = linears(x.clone(), vec![of(first, layer.bias.clone())], base, adapters);
    rest.chunks(GROUPS).fold(begun, |y, groups| linears(x.clone(), vec![of(groups, None)], Some(y), adapters))
}

/// [`linears`] of a few groups of adapters at a time.
fn divided(x: Tensor<2>, layers: Vec<Linear>, base: Option<Tensor<2>>, adapters: usize) -> Tensor<2> {
    let ends = layers.iter().flat_map(|layer| layer.factors.iter().map(|f| f.members.end));
    let mut ends: Vec<usize> = ends.collect();
    ends.sort_unstable();
    ends.dedup();
    let mut cuts: Vec<usize> = ends.chunks(GROUPS).filter_map(|ends| ends.last().copied()).collect();
    if let Some(last) = cuts.last_mut() {
        *last = adapters;
    }
    let each = x.dims()[0] / adapters.max(1);
    let mut from = 0;
    let parts = cuts.into_iter().map(|end| {
        let own = from..end;
        from = end;
        let rows = |x: Tensor<2>| x.narrow(0, own.start * each, own.len() * each);
        let of = |layer: &Linear| {
            let within = layer.factors.iter().filter(|f| own.contains(&f.members.start)).cloned();
            let moved = |f: LowRank| {
                assert!(f.members.end <= own.end, "groups of adapters differ between layers");
                LowRank { members: f.members.start - own.start..f.members.end - own.start, ..f }
            };
            Linear { factors: within.map(moved).collect(), ..layer.clone() }
        };
        linears(rows(x.clone()), layers.iter().map(of).collect(), base.clone().map(rows), own.len())
    });
    Tensor::cat(parts.collect(), 0)
}

/// [`linears`] of burn's operations.
fn composed(x: Tensor<2>, layers: Vec<Linear>, base: Option<Tensor<2>>, adapters: usize) -> Tensor<2> {
    let [rows, inputs] = x.dims();
    let each = rows / adapters.max(1);
    let outputs = layers.into_iter().map(|layer| {
        let width = layer.outputs;
        let mut y = match layer.weight {
            Some(weight) => product(x.clone(), weight),
            None => Tensor::zeros([rows, width], &x.device()),
        };
        if let Some(bias) = layer.bias {
            y = y + bias.unsqueeze();
        }
        let mut y = y.reshape([adapters, each, width]);
        for LowRank { members, scales, a, b } in layer.factors {
            let own = x.clone().reshape([adapters, each, inputs]).narrow(0, members.start, members.len());
            let scales: Vec<f32> = scales;
            let scales = Tensor::<1>::from_floats(&scales[..], &own.device()).reshape([members.len(), 1, 1]);
            let delta = matmul(matmul(own, a.swap_dims(1, 2)) * scales, b);
            let before = y.clone().narrow(0, members.start, members.len());
            y = y.slice_assign([members, 0..each, 0..width], before + delta);
        }
        y.reshape([rows, width])
    });
    let y = Tensor::cat(outputs.collect(), 1);
    match base {
        Some(base) => base + y,
        None => y,
    }
}

/// What belongs to which adapter.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) adapters: usize,
    pub(super) layers: Vec<PlannedLayer>,
}

/// What a layer has: the members and scales of its factors, and what it keeps.
#[derive(Clone, Debug)]
pub(super) struct PlannedLayer {
    pub(super) weight: bool,
    pub(super) outputs: usize,
    pub(super) bias: bool,
    pub(super) groups: Vec<(Range<usize>, Vec<f32>)>,
    pub(super) panels: KeptPanels,
}

/// The step as an extension of burn's backends: [`linears`](fn@linears) with the factors A and B of all layers one after the other.
#[backend_extension(Flex: cfg(feature = "cpu"), Autodiff)]
pub trait LinearOps: Backend {
    /// Of constants, or as a step of the graph.
    fn linears(
        x: FloatTensor<Self>,
        #[extension_type] weights: List<Self>,
        #[extension_type] biases: List<Self>,
        #[extension_type] factors: List<Self>,
        #[extension_type] base: List<Self>,
        plan: Plan,
    ) -> FloatTensor<Self>;
}

/// What is multiplied.
#[derive(Clone, Debug)]
pub struct Operands<T> {
    pub(super) x: T,
    pub(super) weights: Vec<T>,
    pub(super) factors: Vec<T>,
    pub(super) plan: Plan,
}

/// The loops of a backend.
pub trait LinearKernels: Backend {
    /// The outputs, and what the backward pass needs beside the operands.
    fn linears_kept(
        operands: &Operands<FloatTensor<Self>>,
        biases: Vec<FloatTensor<Self>>,
        base: Option<FloatTensor<Self>>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// Gradients of `x`, if that is wanted, and of the factors.
    fn linears_slopes(
        operands: Operands<FloatTensor<Self>>,
        kept: FloatTensor<Self>,
        grad: FloatTensor<Self>,
        of_x: bool,
    ) -> (Option<FloatTensor<Self>>, Vec<FloatTensor<Self>>);
}
