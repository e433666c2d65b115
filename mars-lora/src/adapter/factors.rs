//! One adapter on the host, in PEFT's orientation.

use crate::AdapterConfig;

/// The factors of one layer: the adapted layer computes `W x + b + s * B (A x)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    /// Module path of the layer.
    pub path: String,
    /// Rank, at least 1.
    pub rank: usize,
    /// Inputs of the layer.
    pub inputs: usize,
    /// Outputs of the layer.
    pub outputs: usize,
    /// `lora_A`, `[rank, inputs]` row-major.
    pub a: Vec<f32>,
    /// `lora_B`, `[outputs, rank]` row-major.
    pub b: Vec<f32>,
    /// DoRA's magnitude of each output, `[outputs]`: the layer computes `m / ||W + s B A|| * (W + s B A) x + b`,
    /// with the norm of each row of the weight.
    pub magnitude: Option<Vec<f32>>,
}

impl Factors {
    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        self.a.len() + self.b.len() + self.magnitude.as_ref().map_or(0, Vec::len)
    }
}

/// An adapter: its configuration and the factors of each adapted layer in site order.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// Ranks, scales, targets, variants and seed.
    pub config: AdapterConfig,
    /// One entry for each adapted layer.
    pub factors: Vec<Factors>,
    /// Frozen factors whose product is subtracted, `s * (B A - B0 A0)`: the part of the weight that
    /// [`Init::Pissa`](crate::Init::Pissa) trains. Empty for other adapters.
    pub offset: Vec<Factors>,
}

impl Adapter {
    /// Number of trainable parameters.
    pub fn parameters(&self) -> usize {
        self.factors.iter().map(Factors::parameters).sum()
    }
}
