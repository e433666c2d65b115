//! Adapters that have not been trained yet.

use super::{build, first_values, weights};
use crate::{Adapter, AdapterConfig, Error, Init, Model};

impl Adapter {
    /// A fresh adapter; the model's function is unchanged.
    /// B is zero (A of embeddings), so `s B A = 0`; with DoRA the magnitudes are the norms of the weights, so
    /// the gain is 1; with PiSSA (arXiv 2404.02948) `s B A` is the best approximation of W of that rank, and
    /// the same product is subtracted as a frozen offset in place of changing W. With [`Init::Eva`] A is that
    /// of [`Init::Uniform`] here: see [`Activations::adapter`](crate::Activations::adapter).
    ///
    /// # Errors
    /// As [`AdapterConfig::useful_ranks`]; [`Error::NoWeight`] if a variant needs a weight that the model does not
    /// show; [`Error::Variant`] for variants that do not go together, and for DoRA on a layer with an output whose weights are
    /// all zero.
    pub fn fresh<M: Model>(config: AdapterConfig, model: &M) -> Result<Self, Error> {
        let ranks = config.useful_ranks(model.modules(), model.sites())?;
        let adapted = || ranks.iter().enumerate().filter(|(_, rank)| **rank > 0);
        let mut factors: Vec<_> = adapted()
            .map(|(site, rank)| first_values::factors(config.init, config.seed, &model.sites()[site], *rank))
            .collect();
        let mut offset = Vec::new();
        if config.dora {
            for ((site, _), own) in adapted().zip(&mut factors) {
                own.magnitude = Some(weights::row_norms(model, site)?);
            }
        }
        if config.init == Init::Pissa {
            if config.dora {
                return Err(Error::Variant { why: "DoRA cannot begin with PiSSA; use another init".into() });
            }
            for ((site, rank), own) in adapted().zip(&mut factors) {
                let scale = config.site_scale(&own.path, *rank);
                (own.a, own.b) = weights::principal(model, site, *rank, scale, config.seed)?;
            }
            offset.clone_from(&factors);
        }
        Ok(Self { config, factors, offset })
    }

    /// Makes sure that training can go on from this adapter on `model`: no output of `W + s B A`, by whose norm DoRA divides, is
    /// without weights. Adapters without DoRA divide by nothing.
    ///
    /// # Errors
    /// [`Error::Variant`] with layer and output; [`Error::NoWeight`] if the model does not show a weight; those of
    /// [`AdapterStack::new`](crate::AdapterStack::new).
    pub fn check_norms<M: Model>(&self, model: &M) -> Result<(), Error> {
        if !self.config.dora {
            return Ok(());
        }
        let ranks = self.config.site_ranks(model.modules(), model.sites())?;
        build::check(self, &ranks, model)?;
        let mut adapted = (0..ranks.len()).filter(|site| ranks[*site] > 0).zip(&self.factors);
        adapted.try_for_each(|(site, own)| {
            let scale = self.config.site_scale(&own.path, own.rank);
            weights::check_sum(model, site, own, scale)
        })
    }
}
