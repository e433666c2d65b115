//! The trait of methods that may reallocate ranks after each step.

use crate::{AdaptedModule, Adapter, AdapterConfig, Error, Factors, Init, Site};
use std::collections::BTreeMap;

/// Rank of each layer that a method acts on, by module path; 0 where it has pruned everything.
pub type RankMap = BTreeMap<String, usize>;

/// What one pass over a batch has shown.
#[derive(Clone, Copy, Debug)]
pub struct Feedback<'a> {
    /// Gradients with respect to the factors of [`RankMethod::adapter`], in their order and shapes.
    pub gradients: &'a [Factors],
    /// Loss of the batch, nats per answer token.
    pub loss: f64,
    /// Number of this step, counted from 1.
    pub step: usize,
    /// Factor on all learning rates, in [0, 1].
    pub schedule: f64,
}

/// A fine-tuning method that may change ranks while it trains.
pub trait RankMethod: Send {
    /// Its name: `adalora`, `geolora`, `hydra-style`.
    fn name(&self) -> &'static str;

    /// The plain LoRA that computes what the method computes, for the next pass. Layers of rank 0 are left
    /// out. Its ranks may be larger than those of [`rank_map`](Self::rank_map) where a method asks for
    /// gradients of directions that it does not use yet.
    fn adapter(&self) -> Adapter;

    /// Takes one step, which may change ranks.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if the gradients are not of the factors that [`adapter`](Self::adapter) gave.
    fn step(&mut self, feedback: &Feedback<'_>) -> Result<(), Error>;

    /// The ranks as they stand.
    fn rank_map(&self) -> RankMap;

    /// The trained adapter as a plain LoRA with ranks by layer, as PEFT loads it; the same function as
    /// [`adapter`](Self::adapter).
    fn result(&self) -> Adapter;
}

/// An adapter with these factors, whose ranks and scales are written layer by layer; `all` are the
/// paths that the method acts on, with their scales.
pub(super) fn by_layer(
    config: &AdapterConfig,
    all: impl IntoIterator<Item = (String, f64)>,
    factors: Vec<Factors>,
) -> Adapter {
    let mut config = config.clone();
    for (path, scale) in all {
        config.layer_ranks.insert(path.clone(), 0);
        config.layer_scales.insert(path, scale);
    }
    for f in &factors {
        config.layer_ranks.insert(f.path.clone(), f.rank);
    }
    config.layer_scales.retain(|path, _| config.layer_ranks[path] > 0);
    Adapter { config, factors, offset: Vec::new() }
}

/// The sites that a method begins on, with their ranks.
pub(super) fn adapted<'a>(
    config: &AdapterConfig,
    modules: &[AdaptedModule],
    sites: &'a [Site],
) -> Result<Vec<(&'a Site, usize)>, Error> {
    if config.dora || config.dropout > 0.0 || config.init != Init::Uniform {
        let why =
            "adaptive-rank methods bring their own factors: leave DoRA, dropout and init at their defaults";
        return Err(Error::Variant { why: why.to_owned() });
    }
    let ranks = config.useful_ranks(modules, sites)?;
    Ok(sites.iter().zip(ranks).filter(|(_, rank)| *rank > 0).collect())
}

/// The gradient of the layer `path` with these shapes.
pub(super) fn gradient<'a>(
    gradients: &'a [Factors],
    path: &str,
    a: usize,
    b: usize,
) -> Result<&'a Factors, Error> {
    match gradients.iter().find(|g| g.path == path) {
        Some(found) if found.a.len() == a && found.b.len() == b => Ok(found),
        Some(found) => Err(Error::Mismatch {
            why: format!(
                "the gradient of `{path}` has {} and {} values, its factors {a} and {b}",
                found.a.len(),
                found.b.len()
            ),
        }),
        None => Err(Error::Mismatch { why: format!("there is no gradient of `{path}`") }),
    }
}
