//! Frozen linear layers that adapters act on.

use super::PackedWeight;
use crate::{AdapterStack, ops};
use burn::module::{Module, Param};
use burn::tensor::{DType, Tensor};

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
}

impl LoraLinear {
    /// A layer that is no site: no adapter ever acts on it.
    /// The weight is `[inputs, outputs]`.
    pub fn frozen(weight: Param<Tensor<2>>, bias: Option<Param<Tensor<1>>>) -> Self {
        Self { weight, packed: None, bias, site: usize::MAX }
    }

    /// `x` is `[K * B, S, inputs]` with the rows of one adapter together; returns `[K * B, S, outputs]`.
    ///
    /// # Panics
    /// If the first dimension is not a multiple of the number of adapters.
    pub fn forward(&self, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        let [y] = Self::forward_all([self], x, adapters);
        y
    }

    /// As [`forward`](Self::forward) for layers that read the same `x` (query, key and value; gate and up): one
    /// product with the factors A of all of them.
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
        let outputs = adapters.apply(layers, &x, bases);
        let mut layers = layers.iter();
        outputs.map(|mut y| {
            if let Some(bias) = layers.next().and_then(|layer| layer.bias.as_ref()) {
                y = y + bias.val().unsqueeze();
            }
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
