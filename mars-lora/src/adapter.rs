//! One adapter on the host, in PEFT's orientation.

use crate::{AdapterConfig, Component, Error, Site, init};

/// The two factors of one layer: the adapted layer computes `W x + b + s * B (A x)`.
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
}

/// An adapter: its configuration and the factors of each adapted layer in site order.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// Ranks, scale, targets and seed.
    pub config: AdapterConfig,
    /// One entry for each adapted layer.
    pub factors: Vec<Factors>,
}

impl Adapter {
    /// A fresh adapter with PEFT's initialisation: the model's function is unchanged, since B is zero.
    ///
    /// # Errors
    /// As [`AdapterConfig::site_ranks`].
    pub fn fresh(config: AdapterConfig, components: &[Component], sites: &[Site]) -> Result<Self, Error> {
        let ranks = config.site_ranks(components, sites)?;
        let adapted = sites.iter().zip(ranks).filter(|(_, rank)| *rank > 0);
        let factors = adapted
            .map(|(site, rank)| Factors {
                path: site.path.clone(),
                rank,
                inputs: site.inputs,
                outputs: site.outputs,
                a: init::a_values(config.seed, &site.path, rank, site.inputs),
                b: vec![0.0; site.outputs * rank],
            })
            .collect();
        Ok(Self { config, factors })
    }

    /// Number of trainable parameters.
    pub fn parameters(&self) -> usize {
        self.factors.iter().map(|f| f.a.len() + f.b.len()).sum()
    }
}
