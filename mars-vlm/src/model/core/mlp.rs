//! Feed-forward layers, plain or gated (Shazeer 2020, arXiv 2002.05202).

use super::activation::Activation;
use crate::Error;
use crate::checkpoint::Loader;
use burn::module::Module;
use burn::tensor::Tensor;
use mars_lora::{AdapterStack, LoraLinear, ops};

/// Names of the layers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum MlpNames {
    /// Gate, up, down.
    Gated([&'static str; 3]),
    /// Up, down.
    Plain([&'static str; 2]),
}

/// `down(act(gate(x)) * up(x))`; SwiGLU with the activation `silu`.
/// `gate` and `up` are `[width, inner]`, `down` is `[inner, out]`.
#[derive(Module, Debug)]
pub(crate) struct GatedMlp {
    gate: LoraLinear,
    up: LoraLinear,
    down: LoraLinear,
}

/// `down(act(up(x)))`.
/// `up` is `[width, inner]`, `down` is `[inner, out]`.
#[derive(Module, Debug)]
pub(crate) struct PlainMlp {
    up: LoraLinear,
    down: LoraLinear,
}

/// The layers of either form.
#[expect(clippy::large_enum_variant, reason = "one for each block; a box is no burn module")]
#[derive(Module, Debug)]
pub(crate) enum MlpLayers {
    /// Three layers.
    Gated(GatedMlp),
    /// Two layers.
    Plain(PlainMlp),
}

/// A feed-forward network.
#[derive(Module, Debug)]
pub(crate) struct Mlp {
    layers: MlpLayers,
    #[module(skip)]
    activation: Activation,
}

impl Mlp {
    /// Loads the layers below module path `path`, from `width` over `inner` to `out` values; adapters on them belong to
    /// `module`.
    ///
    /// # Errors
    /// Those of [`Loader::linear`].
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        path: &str,
        module: &str,
        names: MlpNames,
        (width, inner, out): (usize, usize, usize),
        (bias, activation): (bool, Activation),
    ) -> Result<Self, Error> {
        let mut linear = |name: &str, inputs, outputs| {
            loader.linear(&format!("{path}.{name}"), module, inputs, outputs, bias)
        };
        let layers = match names {
            MlpNames::Gated([gate, up, down]) => MlpLayers::Gated(GatedMlp {
                gate: linear(gate, width, inner)?,
                up: linear(up, width, inner)?,
                down: linear(down, inner, out)?,
            }),
            MlpNames::Plain([up, down]) => {
                MlpLayers::Plain(PlainMlp { up: linear(up, width, inner)?, down: linear(down, inner, out)? })
            }
        };
        Ok(Self { layers, activation })
    }

    /// The site of the layer that was loaded last.
    pub(crate) fn last_site(&self) -> usize {
        match &self.layers {
            MlpLayers::Gated(GatedMlp { down, .. }) | MlpLayers::Plain(PlainMlp { down, .. }) => down.site,
        }
    }

    /// `x` is `[B, S, width]`, the result `[B, S, out]`.
    pub(crate) fn forward(&self, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        self.forward_onto(None, x, adapters)
    }

    /// The same, added to `base` if there is one.
    pub(crate) fn forward_onto(
        &self,
        base: Option<Tensor<3>>,
        x: Tensor<3>,
        adapters: &AdapterStack,
    ) -> Tensor<3> {
        let (inner, down) = match &self.layers {
            MlpLayers::Gated(GatedMlp { gate, up, down }) => (self.gated([gate, up], x, adapters), down),
            MlpLayers::Plain(PlainMlp { up, down }) => (self.activation.apply(up.forward(x, adapters)), down),
        };
        LoraLinear::joined([down], inner, base, adapters)
    }

    fn gated(&self, layers: [&LoraLinear; 2], x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        if let Some(swish) = self.activation.swish().filter(|_| LoraLinear::fuse(layers)) {
            return ops::gate_rows(LoraLinear::joined(layers, x, None, adapters), swish);
        }
        let [gate, up] = LoraLinear::forward_all(layers, x, adapters);
        self.activation.gate(gate, up)
    }
}
