//! What the adapted layers read: the second moments of their inputs, and adapters that begin with them.
//!
//! EVA (explained variance adaptation, arXiv 2410.07170): A begins with the right singular vectors of the
//! layer's inputs, and ranks go where these explain most. The singular vectors of the inputs X `[N, inputs]` are
//! the eigenvectors of X^T X, which is summed over batches, so there is no need of incremental decompositions.

use super::probe::Probe;
use super::svd;
use crate::{Adapter, AdapterConfig, AdapterStack, Error, Model, SiteKind};
use burn::tensor::Tensor;
use std::collections::BTreeMap;

/// Directions of the inputs of each linear layer, strongest first.
#[derive(Clone, Debug)]
pub struct Activations {
    sites: BTreeMap<usize, Spectrum>,
}

/// Directions of the inputs of one layer.
#[derive(Clone, Debug)]
struct Spectrum {
    /// `[most, inputs]` row-major, of length 1 each.
    directions: Vec<f32>,
    /// Share of the inputs' mean square that each direction explains.
    shares: Vec<f64>,
}

/// Shares of directions with the paths of their layers, and how many of these directions a module takes.
type Shared<'a> = (Vec<(f64, &'a str)>, usize);

impl Activations {
    /// Runs the frozen model on `batches` and keeps the `most` strongest directions of each layer.
    ///
    /// The batches are stacks of one adapter. `seed` starts the decomposition of wide layers.
    /// For each layer the decomposed matrix is `X^T X / N`, `[inputs, inputs]`, of all inputs X `[N, inputs]`
    /// of the batches, not centred. Its eigenvalue of a direction over its trace is the share of the inputs'
    /// mean square that the direction explains.
    ///
    /// # Errors
    /// [`Error::NothingAdapted`] if the batches reach no layer.
    pub fn of<M: Model>(
        model: &M,
        batches: impl IntoIterator<Item = M::Batch>,
        most: usize,
        seed: u64,
    ) -> Result<Self, Error> {
        let probe = Probe::default();
        let stack = AdapterStack::base(1, model).probed(probe.clone());
        for batch in batches {
            let _ = model.forward(&batch, &stack, false);
        }
        let sums = probe.take();
        if sums.is_empty() {
            return Err(Error::NothingAdapted { why: "no batch was given to read activations from".into() });
        }
        let spectrum = |(site, (sum, count)): (usize, (Tensor<2>, usize))| {
            let sum = sum.div_scalar(count as f64);
            let [inputs, _] = sum.dims();
            let trace: f32 = (sum.clone() * Tensor::eye(inputs, &sum.device())).sum().into_scalar();
            let svd::Triplets { u, s, .. } = svd::strongest(&sum, most.min(inputs), seed);
            let directions = u.iter().copied().collect();
            (
                site,
                Spectrum { directions, shares: s.iter().map(|s| s / f64::from(trace).max(1e-30)).collect() },
            )
        };
        Ok(Self { sites: sums.into_iter().map(spectrum).collect() })
    }

    /// Ranks by layer that explain most of the inputs. Each module has as many directions in all as `config` gives
    /// its layers, and no layer more than `rho` times what it is given (EVA's rho). A layer may get 0.
    /// The rule is EVA's within a module: shares of its layers together are sorted and the largest win, ties by site
    /// order. EVA shares one budget among all layers, after which the rank that a module was given would say
    /// little about it.
    /// Layers that were not reached keep the rank of `config` and take no part in the budget. The configured
    /// rank counts in directions, not in parameters, so the number of parameters may change.
    ///
    /// # Errors
    /// As [`AdapterConfig::site_ranks`].
    pub fn ranks<M: Model>(
        &self,
        config: &AdapterConfig,
        model: &M,
        rho: usize,
    ) -> Result<BTreeMap<String, usize>, Error> {
        let given = config.site_ranks(model.modules(), model.sites())?;
        let mut ranks: BTreeMap<String, usize> = BTreeMap::new();
        let mut modules: BTreeMap<&str, Shared<'_>> = BTreeMap::new();
        for (index, site) in model.sites().iter().enumerate().filter(|(index, _)| given[*index] > 0) {
            let Some(spectrum) = self.sites.get(&index) else {
                ranks.insert(site.path.clone(), given[index]);
                continue;
            };
            ranks.insert(site.path.clone(), 0);
            let most = (rho * given[index]).min(site.max_rank());
            let (shares, budget) = modules.entry(&site.module).or_default();
            shares.extend(spectrum.shares.iter().take(most).map(|share| (*share, site.path.as_str())));
            *budget += given[index];
        }
        for (mut shares, budget) in modules.into_values() {
            shares.sort_by(|a, b| b.0.total_cmp(&a.0));
            for (_, path) in shares.into_iter().take(budget) {
                *ranks.entry(path.to_owned()).or_default() += 1;
            }
        }
        Ok(ranks)
    }

    /// Whether the layer of a site was reached: the model computes it, and for this data.
    /// `site` is an index of the model's sites.
    pub fn reached(&self, site: usize) -> bool {
        self.sites.contains_key(&site)
    }

    /// A fresh adapter whose factors A are the strongest directions, B zero. Layers that were not reached begin as in
    /// [`Adapter::fresh`]: nothing is known of them, and some are never computed (an encoder's behind the features that
    /// are taken).
    ///
    /// # Errors
    /// As [`Adapter::fresh`]; [`Error::Mismatch`] if a rank is above the number of directions that were kept.
    pub fn adapter<M: Model>(&self, config: AdapterConfig, model: &M) -> Result<Adapter, Error> {
        let mut adapter = Adapter::fresh(config, model)?;
        for own in &mut adapter.factors {
            let Some(site) = model.sites().iter().position(|site| site.path == own.path) else { continue };
            if model.sites()[site].kind == SiteKind::Embedding {
                continue;
            }
            let Some(Spectrum { directions: known, .. }) = self.sites.get(&site) else { continue };
            let Some(directions) = known.get(..own.a.len()) else {
                let why = format!(
                    "`{}` wants rank {}, {} directions of its inputs are known",
                    own.path,
                    own.rank,
                    known.len() / own.inputs
                );
                return Err(Error::Mismatch { why });
            };
            own.a = directions.to_vec();
        }
        Ok(adapter)
    }
}
