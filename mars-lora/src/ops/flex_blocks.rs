//! The steps of transformer blocks on the CPU backend.

use super::attention::{AttentionKernels, AttentionOps};
use super::attention_form::AttentionPlan;
use super::attention_rows::{Heads, Sizes, Source};
use super::flex::f32s;
use super::kept_panels::WeightPanels;
use super::kernels;
use super::linear_rows::{Factor, Layer, Pass};
use super::linears::{LinearKernels, LinearOps, Operands, Plan};
use super::list::List;
use super::tiles::Panels;
use burn::backend::flex::{Flex, FlexTensor, Layout};
use burn::backend::{Bytes, DType, TensorMetadata};
use burn::tensor::Shape;
use std::sync::Arc;

/// A new tensor.
fn of(values: Vec<f32>, shape: impl Into<Shape>) -> FlexTensor {
    FlexTensor::new(Bytes::from_elems(values), Layout::contiguous(shape.into()), DType::F32)
}

fn last(x: &FlexTensor) -> usize {
    x.shape().iter().last().copied().unwrap_or(0)
}

/// The shape of `x` with another last dimension.
fn with_last(x: &FlexTensor, width: usize) -> Vec<usize> {
    let mut shape: Vec<usize> = x.shape().iter().copied().collect();
    shape.pop();
    shape.push(width);
    shape
}

/// The operands in order, but for the weights, of which there are panels.
fn ordered(operands: &Operands<FlexTensor>) -> Operands<FlexTensor> {
    let all = |tensors: &[FlexTensor]| tensors.iter().cloned().map(f32s).collect();
    let Operands { x, weights, factors, plan } = operands;
    Operands { x: f32s(x.clone()), weights: weights.clone(), factors: all(factors), plan: plan.clone() }
}

/// What is kept of the weight of each layer that has one.
fn panels(operands: &Operands<FlexTensor>) -> Vec<Option<Arc<WeightPanels>>> {
    let mut weights = operands.weights.iter();
    let layers = operands.plan.layers.iter();
    layers
        .map(|planned| weights.next_if_planned(planned.weight).map(|weight| planned.panels.of(weight)))
        .collect()
}

/// The pass of `operands` in order, with panels of the weights that are multiplied with, and with biases in the order of the layers that
/// have one.
fn pass<'a>(
    operands: &'a Operands<FlexTensor>,
    panels: &[Option<&'a Panels>],
    biases: &'a [FlexTensor],
) -> Pass<'a> {
    let Operands { x, factors, plan, .. } = operands;
    let mut biases = biases.iter();
    let layers = panels.iter().zip(&plan.layers).map(|(panels, planned)| Layer {
        weight: *panels,
        outputs: planned.outputs,
        bias: biases.next_if_planned(planned.bias).map(|bias| bias.storage()),
    });
    let mut members: Vec<Vec<Factor<'a>>> = (0..plan.adapters).map(|_| Vec::new()).collect();
    let mut factors = factors.chunks_exact(2);
    for (layer, planned) in plan.layers.iter().enumerate() {
        for ((group, scales), both) in planned.groups.iter().zip(&mut factors) {
            let rank = both[0].shape()[1];
            let [a, b] = [&both[0], &both[1]].map(|factor| {
                let values: &[f32] = factor.storage();
                let size = values.len() / group.len().max(1);
                move |n: usize| &values[n * size..][..size]
            });
            for (n, (member, scale)) in group.clone().zip(scales).enumerate() {
                members[member].push(Factor { layer, rank, scale: *scale, a: a(n), b: b(n) });
            }
        }
    }
    Pass { x: x.storage(), inputs: last(x), layers: layers.collect(), members }
}

/// What the products of a pass are added to: the base itself where nothing else holds its memory.
fn begun(pass: &Pass<'_>, base: Option<FlexTensor>, shape: Vec<usize>) -> FlexTensor {
    let Some(mut base) = base else { return of(pass.begin(None), shape) };
    let Some(values) = base.try_storage_mut() else { return of(pass.begin(Some(base.storage())), shape) };
    pass.add_biases(values);
    base
}

/// The next of the weights or biases, for a layer that has one.
trait NextIf: Iterator {
    fn next_if_planned(&mut self, planned: bool) -> Option<Self::Item> {
        if planned { self.next() } else { None }
    }
}

impl<I: Iterator> NextIf for I {}

impl LinearOps for Flex {
    fn linears(
        x: FlexTensor,
        weights: List<Self>,
        biases: List<Self>,
        factors: List<Self>,
        base: List<Self>,
        plan: Plan,
    ) -> FlexTensor {
        let operands = Operands { x, weights: weights.0, factors: factors.0, plan };
        Self::linears_kept(&operands, biases.0, base.0.into_iter().next()).0
    }
}

impl LinearKernels for Flex {
    fn linears_kept(
        operands: &Operands<FlexTensor>,
        biases: Vec<FlexTensor>,
        base: Option<FlexTensor>,
    ) -> (FlexTensor, FlexTensor) {
        let operands = ordered(operands);
        let biases: Vec<FlexTensor> = biases.into_iter().map(f32s).collect();
        let base = base.map(f32s);
        let panels = panels(&operands);
        let weights: Vec<_> =
            panels.iter().map(|panels| panels.as_ref().map(|panels| panels.forward())).collect();
        let pass = pass(&operands, &weights, &biases);
        let mut y = begun(&pass, base, with_last(&operands.x, pass.width()));
        let lows = pass.forward(y.storage_mut());
        let count = lows.len();
        (y, of(lows, vec![count]))
    }

    fn linears_slopes(
        operands: Operands<FlexTensor>,
        kept: FlexTensor,
        grad: FlexTensor,
        of_x: bool,
    ) -> (Option<FlexTensor>, Vec<FlexTensor>) {
        let operands = ordered(&operands);
        let grad = f32s(grad);
        let panels = panels(&operands);
        let weights: Vec<_> = panels
            .iter()
            .map(|panels| panels.as_ref().filter(|_| of_x).map(|panels| panels.backward()))
            .collect();
        let pass = pass(&operands, &weights, &[]);
        let (x, slopes) = pass.backward(grad.storage(), kept.storage(), of_x);
        let mut members: Vec<_> = slopes.into_iter().map(Vec::into_iter).collect();
        let mut factors = operands.factors.chunks_exact(2);
        let mut all = Vec::with_capacity(operands.factors.len());
        for planned in &operands.plan.layers {
            for ((group, _), both) in planned.groups.iter().zip(&mut factors) {
                // The factors of a member are in the order of the layers.
                let own = group.clone().filter_map(|member| members[member].next());
                let (a, b): (Vec<_>, Vec<_>) = own.unzip();
                all.extend([a, b].into_iter().zip(both).map(|(own, like)| of(joined(own), like.shape())));
            }
        }
        (of_x.then(|| of(x, operands.x.shape())), all)
    }
}

fn joined(mut parts: Vec<Vec<f32>>) -> Vec<f32> {
    if parts.len() == 1 { parts.swap_remove(0) } else { parts.concat() }
}

/// The tensors of an attention: rows with all projections, or queries, keys and values.
struct Tensors<const N: usize> {
    x: [FlexTensor; N],
    tables: Vec<FlexTensor>,
    mask: Option<FlexTensor>,
    plan: AttentionPlan,
}

impl<const N: usize> Tensors<N> {
    fn new(x: [FlexTensor; N], tables: Vec<FlexTensor>, mask: Vec<FlexTensor>, plan: AttentionPlan) -> Self {
        let mut tables: Vec<FlexTensor> = tables.into_iter().map(f32s).collect();
        if let Some(sin) = tables.last_mut() {
            // `[a, b]` is turned by products with `[b, a]`, where b has a minus.
            for row in sin.storage_mut::<f32>().chunks_exact_mut(plan.width) {
                row[..plan.width / 2].iter_mut().for_each(|sin| *sin = -*sin);
            }
        }
        Self { x: x.map(with_whole_rows), tables, mask: mask.into_iter().next().map(f32s), plan }
    }

    fn heads<'a>(&'a self, [queries, keys, values]: [Source<'a>; 3]) -> Heads<'a> {
        let AttentionPlan { positions, heads, groups, width, scale, products } = self.plan;
        let tables = match &self.tables[..] {
            [cos, sin] => Some([cos.storage(), sin.storage()]),
            _ => None,
        };
        let sequences = self.x[0].shape()[0];
        let mask = self.mask.as_ref().map(|mask| mask.storage());
        let sizes = Sizes { sequences, positions, heads, groups, width, scale };
        Heads { sizes, queries, keys, values, tables, mask, products }
    }
}

impl Tensors<1> {
    /// Of rows `[B, S, (H + 2 G) W]`.
    fn joined(&self) -> Heads<'_> {
        let AttentionPlan { heads, groups, width, .. } = self.plan;
        let [x] = &self.x;
        let [sequence, row] = strides(x);
        let first = |head| Source {
            values: x.storage(),
            from: x.layout().start_offset() + head * width,
            sequence,
            head: width,
            row,
        };
        self.heads([0, heads, heads + groups].map(first))
    }
}

impl Tensors<3> {
    /// Of queries `[B, H, S, W]`, keys and values `[B, G, S, W]`.
    fn apart(&self) -> Heads<'_> {
        self.heads(self.x.each_ref().map(|x| {
            let [sequence, head, row] = strides(x);
            Source { values: x.storage(), from: x.layout().start_offset(), sequence, head, row }
        }))
    }
}

/// The tensor in f32, as it is where its last dimension lies in order.
fn with_whole_rows(x: FlexTensor) -> FlexTensor {
    let fits =
        x.dtype() == DType::F32 && x.layout().has_positive_strides() && x.layout().has_contiguous_inner();
    if fits { x } else { f32s(x) }
}

/// How far the values of its first N dimensions lie apart.
fn strides<const N: usize>(x: &FlexTensor) -> [usize; N] {
    std::array::from_fn(|dimension| x.layout().strides()[dimension].unsigned_abs())
}

impl AttentionOps for Flex {
    fn attend(x: FlexTensor, tables: List<Self>, mask: List<Self>, plan: AttentionPlan) -> FlexTensor {
        let shape = vec![x.shape()[0], plan.positions, plan.heads * plan.width];
        of(Tensors::new([x], tables.0, mask.0, plan).joined().forward(), shape)
    }

    fn attend_heads(
        q: FlexTensor,
        k: FlexTensor,
        v: FlexTensor,
        tables: List<Self>,
        mask: List<Self>,
        plan: AttentionPlan,
    ) -> FlexTensor {
        let shape = vec![q.shape()[0], plan.positions, plan.heads * plan.width];
        of(Tensors::new([q, k, v], tables.0, mask.0, plan).apart().forward(), shape)
    }

    fn gate(x: FlexTensor, linear: f32, cubic: f32) -> FlexTensor {
        let x = f32s(x);
        let width = last(&x);
        of(kernels::gate_rows(width, x.storage(), [linear, cubic]), with_last(&x, width / 2))
    }
}

impl AttentionKernels for Flex {
    fn attend_slope(
        x: FlexTensor,
        tables: Vec<FlexTensor>,
        mask: Vec<FlexTensor>,
        grad: FlexTensor,
        plan: AttentionPlan,
    ) -> FlexTensor {
        let shape = x.shape();
        let grad = f32s(grad);
        of(Tensors::new([x], tables, mask, plan).joined().backward(grad.storage()), shape)
    }

    fn attend_heads_slopes(
        heads: [FlexTensor; 3],
        tables: Vec<FlexTensor>,
        mask: Vec<FlexTensor>,
        grad: FlexTensor,
        plan: AttentionPlan,
    ) -> [FlexTensor; 3] {
        let grad = f32s(grad);
        let tensors = Tensors::new(heads, tables, mask, plan);
        let [q, k, v] = tensors.apart().backward_apart(grad.storage());
        let AttentionPlan { positions, heads, groups, width, .. } = plan;
        let sequences = tensors.x[0].shape()[0];
        // Heads side by side, as a view with the heads before the positions.
        [(q, heads), (k, groups), (v, groups)]
            .map(|(values, heads)| of(values, vec![sequences, positions, heads, width]).transpose(1, 2))
    }

    fn gate_slope(x: FlexTensor, grad: FlexTensor, form: [f32; 2]) -> FlexTensor {
        let (x, grad) = (f32s(x), f32s(grad));
        let shape = x.shape();
        let width = last(&x);
        of(kernels::gate_rows_slope(width, x.storage(), grad.storage(), form), shape)
    }
}
