//! What one adapter is: ranks, scales, targets, variants, and the seed of its first values.

use crate::{AdaptedModule, Error, Init, ScaleConvention, Site, Targets};
use std::collections::BTreeMap;

/// Everything that determines a fresh adapter.
#[derive(Clone, Debug)]
pub struct AdapterConfig {
    /// Rank of each module by name; absent or 0 means not adapted.
    pub ranks: BTreeMap<String, usize>,
    /// Ranks of single layers by module path, in place of their module's; 0 means not adapted.
    pub layer_ranks: BTreeMap<String, usize>,
    /// Scale of the low-rank product; default constant 2.
    pub scale: ScaleConvention,
    /// Scales of single layers by module path, in place of the convention's.
    pub layer_scales: BTreeMap<String, f64>,
    /// Layers within the adapted modules; default all linear ones.
    pub targets: Targets,
    /// Probability that an input of a factor A is zeroed in training, in [0, 1); default 0.
    pub dropout: f64,
    /// Weight-decomposed adaptation, DoRA (arXiv 2402.09353): a trained magnitude for each output; default no.
    pub dora: bool,
    /// First values of the factors; default PEFT's.
    pub init: Init,
    /// Seed of the first values; any number.
    pub seed: u64,
}

impl AdapterConfig {
    /// The given ranks with defaults for all else.
    pub fn new<S: Into<String>>(ranks: impl IntoIterator<Item = (S, usize)>, seed: u64) -> Self {
        Self {
            ranks: ranks.into_iter().map(|(name, rank)| (name.into(), rank)).collect(),
            layer_ranks: BTreeMap::new(),
            scale: ScaleConvention::default(),
            layer_scales: BTreeMap::new(),
            targets: Targets::default(),
            dropout: 0.0,
            dora: false,
            init: Init::default(),
            seed,
        }
    }

    /// The scale of the layer at `path`, whose rank is `rank`.
    pub fn site_scale(&self, path: &str, rank: usize) -> f64 {
        self.layer_scales.get(path).copied().unwrap_or_else(|| self.scale.scale(rank))
    }

    /// The rank at each site, 0 where the adapter does not act.
    /// One entry for each site. An entry of [`layer_ranks`](Self::layer_ranks) counts whatever the targets say;
    /// a site that the targets do not choose has rank 0; every other has that of its module.
    ///
    /// # Errors
    /// [`Error::UnknownModule`], [`Error::NothingAdapted`], and [`Error::BadValue`] for a scale that is not
    /// positive or a dropout outside its range.
    pub fn site_ranks(&self, modules: &[AdaptedModule], sites: &[Site]) -> Result<Vec<usize>, Error> {
        self.check(modules, sites)?;
        let rank = |site: &Site| match self.layer_ranks.get(&site.path) {
            Some(rank) => *rank,
            None if self.targets.contain(site) => self.ranks.get(&site.module).copied().unwrap_or(0),
            None => 0,
        };
        let all: Vec<usize> = sites.iter().map(rank).collect();
        if all.iter().all(|rank| *rank == 0) {
            let asked = self.ranks.iter().map(|(n, r)| format!("{n}={r}")).collect::<Vec<_>>().join(", ");
            let why = format!(
                "ranks are [{asked}] and the target pattern selects {} of {} layers; \
                 give at least one module a rank of 1 or more",
                sites.iter().filter(|s| self.targets.contain(s)).count(),
                sites.len()
            );
            return Err(Error::NothingAdapted { why });
        }
        Ok(all)
    }

    /// As [`site_ranks`](Self::site_ranks), for a search that should not try what cannot help.
    ///
    /// # Errors
    /// Also [`Error::RankTooLarge`] for a rank above min(inputs, outputs), with the layer that allows least.
    pub fn useful_ranks(&self, modules: &[AdaptedModule], sites: &[Site]) -> Result<Vec<usize>, Error> {
        let ranks = self.site_ranks(modules, sites)?;
        let too_large = sites.iter().zip(&ranks).filter(|(site, rank)| **rank > site.max_rank());
        match too_large.min_by_key(|(site, _)| site.max_rank()) {
            Some((site, rank)) => {
                Err(Error::RankTooLarge { path: site.path.clone(), rank: *rank, max: site.max_rank() })
            }
            None => Ok(ranks),
        }
    }

    fn check(&self, modules: &[AdaptedModule], sites: &[Site]) -> Result<(), Error> {
        self.scale.validate()?;
        if let Some(scale) = self.layer_scales.values().find(|s| !(**s > 0.0 && s.is_finite())) {
            return Err(Error::BadValue {
                name: "scale of a layer",
                value: *scale,
                expected: "a positive number",
            });
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(Error::BadValue {
                name: "dropout",
                value: self.dropout,
                expected: "a number in [0, 1)",
            });
        }
        if let Some(name) = self.ranks.keys().find(|name| !modules.iter().any(|c| c.name == **name)) {
            let known = modules.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(Error::UnknownModule { name: name.clone(), known });
        }
        let mut paths = self.layer_ranks.keys().chain(self.layer_scales.keys());
        if let Some(path) = paths.find(|path| !sites.iter().any(|site| site.path == **path)) {
            let known = format!("{} layers, the first is `{}`", sites.len(), first_path(sites));
            return Err(Error::UnknownModule { name: path.clone(), known });
        }
        Ok(())
    }
}

fn first_path(sites: &[Site]) -> &str {
    sites.first().map_or("", |site| &site.path)
}
