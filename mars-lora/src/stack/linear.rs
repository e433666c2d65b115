//! Frozen linear layers that adapters act on.

use super::PackedWeight;
use crate::AdapterStack;
use crate::ops::{self, KeptPanels};
use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor};
use mars_kernels::Products;

/// `y = x W + b + s * (x A) B` for each adapter of a stack, by the low-rank path.
///
/// `W + s A B` is never formed: the frozen product is computed once for all adapters.
/// A is `[inputs, r]` and B `[r, outputs]` in this formula, the transposes of what files hold; variants (DoRA,
/// PiSSA, dropout) change it by the configuration of each adapter. Gradients flow to `x` and to the factors,
/// never to weight and bias.
#[derive(Module, Debug)]
pub struct LoraLinear {
    /// Frozen weight `[inputs, outputs]` (the transpose of PyTorch's), in f32, in half precision, or quantised.
    /// Empty where it is packed.
    pub weight: Param<Tensor<2>>,
    /// The weight as a kernel multiplies with it, instead of `weight`.
    pub packed: Option<PackedWeight>,
    /// Frozen bias `[outputs]`.
    pub bias: Option<Param<Tensor<1>>>,
    /// Index of this layer among the model's sites.
    pub site: usize,
    /// What small layers keep of the weight from pass to pass; of another weight it is made anew.
    #[module(skip)]
    pub panels: KeptPanels,
}

impl LoraLinear {
    /// A layer that is no site: no adapter ever acts on it.
    /// The weight is `[inputs, outputs]`.
    pub fn frozen(weight: Param<Tensor<2>>, bias: Option<Param<Tensor<1>>>) -> Self {
        Self { weight, packed: None, bias, site: usize::MAX, panels: KeptPanels::default() }
    }

    /// Products in the arithmetic of the packed weight, for operands that change, where that rounds both operands to bf16.
    pub fn rounded_products(&self) -> Option<Products> {
        self.packed.as_ref().and_then(PackedWeight::rounded_products)
    }

    /// `x` is `[K * B, S, inputs]` with the rows of one adapter together; returns `[K * B, S, outputs]`.
    ///
    /// # Panics
    /// If the first dimension is not a multiple of the number of adapters.
    pub fn forward(&self, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        Self::joined([self], x, None, adapters)
    }

    /// Whether [`joined`](Self::joined) is one step of the graph for these layers.
    pub fn fuse<const N: usize>(layers: [&Self; N]) -> bool {
        layers.iter().all(|layer| {
            let bias = layer.bias.as_ref().is_none_or(|bias| !bias.val().is_tracked());
            bias && layer.packed.is_none() && ops::fuses_linears(&layer.weight.val())
        })
    }

    /// As [`forward_all`](Self::forward_all) with the outputs side by side, `[K * B, S, sum of outputs]`, added to `base` if there is one.
    ///
    /// On the CPU backend small layers are one step of the graph, but for adapters with DoRA, an offset or dropout. Which of the
    /// others are in the stack changes no bit.
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn joined<const N: usize>(
        layers: [&Self; N],
        x: Tensor<3>,
        base: Option<Tensor<3>>,
        adapters: &AdapterStack,
    ) -> Tensor<3> {
        let rows = x.dims()[0];
        let apart = |base: Option<Tensor<3>>| {
            let mut all = Self::forward_all(layers, x.clone(), adapters).to_vec();
            let y = if all.len() == 1 { all.swap_remove(0) } else { Tensor::cat(all, 2) };
            match base {
                Some(base) => base + y,
                None => y,
            }
        };
        let factors = Some(layers.map(|layer| layer.site)).filter(|_| Self::fuse(layers));
        let Some((factors, special)) = factors.and_then(|sites| adapters.low_rank(sites)) else {
            return apart(base);
        };
        if special.iter().all(|special| *special) {
            return apart(base);
        }
        let mut factors = factors.into_iter();
        let linears = layers.map(|layer| ops::Linear {
            outputs: layer.weight.dims()[1],
            weight: Some(layer.weight.val()),
            bias: layer.bias.as_ref().map(|bias| bias.val()),
            factors: factors.next().unwrap_or_default(),
            panels: layer.panels.clone(),
        });
        let y = ops::linears(x.clone(), linears.to_vec(), base.clone(), adapters.len());
        if !special.contains(&true) {
            return y;
        }
        let (rest, each, mut from) = (apart(base), rows / adapters.len(), 0);
        let parts = special.chunk_by(|a, b| a == b).map(|alike| {
            let own = if alike[0] { &rest } else { &y };
            from += alike.len();
            own.clone().narrow(0, (from - alike.len()) * each, alike.len() * each)
        });
        Tensor::cat(parts.collect(), 0)
    }

    /// As [`forward`](Self::forward) for layers that read the same `x` (query, key and value; gate and up).
    ///
    /// # Panics
    /// As [`forward`](Self::forward).
    pub fn forward_all<const N: usize>(
        layers: [&Self; N],
        x: Tensor<3>,
        adapters: &AdapterStack,
    ) -> [Tensor<3>; N] {
        let [rows, positions, inputs] = x.dims();
        // One large product instead of one per row of the batch.
        let x = x.reshape([rows * positions, inputs]);
        let mut x = x;
        let bases = layers.map(|layer| {
            let base = layer.product(x.clone());
            x = ops::relay(x.clone());
            base
        });
        adapters.apply(layers, &x, bases).map(|y| {
            let outputs = y.dims()[1];
            y.reshape([rows, positions, outputs])
        })
    }

    /// `x W` for `x` `[N, inputs]`.
    fn product(&self, x: Tensor<2>) -> Tensor<2> {
        match &self.packed {
            Some(packed) => packed.product(x),
            None => ops::product(x, self.weight.val()),
        }
    }

    /// `x W` in f32 for `x` `[n, N, inputs]`, and the sum of the squares of each output's weights, `[1, 1, outputs]`.
    pub(crate) fn products_and_squares(&self, x: Tensor<3>) -> (Tensor<3>, Tensor<3>) {
        if let Some(packed) = &self.packed {
            return (packed.products(x), packed.squares());
        }
        let weight = self.whole();
        (x.matmul(weight.clone()), weight.square().sum_dim(1))
    }

    /// `x W` in f32 for `x` `[n, N, inputs]`.
    pub(crate) fn products(&self, x: Tensor<3>) -> Tensor<3> {
        match &self.packed {
            Some(packed) => packed.products(x),
            None => x.matmul(self.whole()),
        }
    }

    /// The weight in f32, `[1, inputs, outputs]`.
    fn whole(&self) -> Tensor<3> {
        self.weight.val().dequantize().cast(DType::F32).unsqueeze()
    }
}
