//! What one adapter is: ranks, scale, targets and the seed of its first values.

use crate::{Component, Error, ScaleConvention, Site, Targets};
use std::collections::BTreeMap;

/// Everything that determines a fresh adapter.
#[derive(Clone, Debug)]
pub struct AdapterConfig {
    /// Rank of each component by name; absent or 0 means not adapted.
    pub ranks: BTreeMap<String, usize>,
    /// Scale of the low-rank product; default constant 2.
    pub scale: ScaleConvention,
    /// Layers within the adapted components; default all of them.
    pub targets: Targets,
    /// Seed of the values of A; any number.
    pub seed: u64,
}

impl AdapterConfig {
    /// The given ranks with the default scale and targets.
    pub fn new<S: Into<String>>(ranks: impl IntoIterator<Item = (S, usize)>, seed: u64) -> Self {
        let ranks = ranks.into_iter().map(|(name, rank)| (name.into(), rank)).collect();
        Self { ranks, scale: ScaleConvention::default(), targets: Targets::default(), seed }
    }

    /// The rank at each site, 0 where the adapter does not act.
    ///
    /// # Errors
    /// [`Error::UnknownModule`], [`Error::RankTooLarge`], [`Error::NothingAdapted`], and
    /// [`Error::BadValue`] for a scale that is not positive.
    pub fn site_ranks(&self, components: &[Component], sites: &[Site]) -> Result<Vec<usize>, Error> {
        self.scale.check()?;
        if let Some(name) = self.ranks.keys().find(|name| !components.iter().any(|c| c.name == **name)) {
            let known = components.iter().map(|c| c.name.as_str()).collect::<Vec<_>>().join(", ");
            return Err(Error::UnknownModule { name: name.clone(), known });
        }
        let mut all = Vec::with_capacity(sites.len());
        for site in sites {
            let rank = self.ranks.get(&site.component).copied().unwrap_or(0);
            let rank = if self.targets.contain(site) { rank } else { 0 };
            if rank > site.max_rank() {
                return Err(Error::RankTooLarge { path: site.path.clone(), rank, max: site.max_rank() });
            }
            all.push(rank);
        }
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
}
