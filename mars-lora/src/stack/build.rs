//! Stacks made of adapters for a model.

use super::AdapterStack;
use super::band::{self, Band};
use super::layout::{Layout, Slot};
use crate::{Adapter, AdapterConfig, Error, Init, Model, ops};
use burn::tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::Arc;

impl AdapterStack {
    /// The adapters, in order, for `model`.
    ///
    /// # Errors
    /// As [`AdapterConfig::site_ranks`], and [`Error::Mismatch`] if factors and configuration disagree.
    pub fn new<M: Model>(adapters: &[Adapter], model: &M) -> Result<Self, Error> {
        Self::base(0, model).join(adapters, model)
    }

    /// `count` adapters that do nothing: the base model, on a batch stacked `count` times.
    pub fn base<M: Model>(count: usize, model: &M) -> Self {
        Self {
            configs: vec![AdapterConfig::new::<String>([], 0); count],
            ranks: vec![vec![0; model.sites().len()]; count],
            layout: Arc::new(Layout { slots: Vec::new() }),
            bands: Vec::new(),
            flat: Tensor::zeros([count.max(1), 1], &model.device()),
            offset: None,
            sites: vec![None; model.sites().len()],
            draws: None,
            probe: None,
        }
    }

    /// This stack with more adapters at its end. Those that were in it compute what they did, to the bit.
    /// Factors are copied; dropout draws are not carried over.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn join<M: Model>(&self, adapters: &[Adapter], model: &M) -> Result<Self, Error> {
        let (mut configs, mut ranks) = (self.configs.clone(), self.ranks.clone());
        for adapter in adapters {
            let own = adapter.config.site_ranks(model.modules(), model.sites())?;
            check(adapter, &own, model)?;
            configs.push(adapter.config.clone());
            ranks.push(own);
        }
        let dora: Vec<bool> = configs.iter().map(|config| config.dora).collect();
        let layout = Layout::new(model.sites(), &ranks, &dora);
        let alike = Alike::new(model, &configs, &ranks);
        let bands = layout.slots.iter().map(|slot| self.bands_with(slot, &ranks, &dora, &alike)).collect();
        let mut stack = Self {
            configs,
            ranks,
            layout: Arc::new(layout),
            bands,
            flat: self.flat.clone(),
            offset: None,
            sites: vec![None; model.sites().len()],
            draws: None,
            probe: None,
        };
        let (mut factors, mut offsets) = (self.unpad(&self.flat), self.offsets());
        factors.extend(adapters.iter().map(|adapter| adapter.factors.clone()));
        offsets.extend(adapters.iter().map(|adapter| adapter.offset.clone()));
        let device = model.device();
        stack.offset = offsets.iter().any(|o| !o.is_empty()).then(|| stack.pad(&offsets, &device));
        let flat = stack.pad(&factors, &device);
        stack.set_flat(flat);
        Ok(stack)
    }

    /// The bands of this stack at a slot, and those of the adapters that join it.
    fn bands_with(&self, slot: &Slot, ranks: &[Vec<usize>], dora: &[bool], alike: &Alike) -> Vec<Band> {
        let known = self.layout.slots.iter().position(|own| own.site == slot.site);
        let mut all = known.map_or(Vec::new(), |index| self.bands[index].clone());
        for band in &mut all {
            // One that was padded for an adapter that has left is as wide as the slots of the new layout are.
            let members = ranks[band.members.clone()].iter().map(|of| of[slot.site]);
            band.rank = members.max().unwrap_or(band.rank);
        }
        let own = self.len();
        let new: Vec<usize> = ranks[own..].iter().map(|of| of[slot.site]).collect();
        let shifted = |band: Band| Band { members: band.members.start + own..band.members.end + own, ..band };
        all.extend(band::bands(&new, &dora[own..], &alike.at(slot)[own..]).into_iter().map(shifted));
        all
    }
}

/// Ranks up to which padding costs less than a product of its own: the frozen product is tens of times larger.
const PADDED: usize = 64;

/// Which adapters can share bands with those before them, by module.
///
/// They are alike in a module if they have the same rank at each of its layers, or on a GPU ranks up to [`PADDED`], and
/// compute the same products there: with or without a magnitude, an offset and dropout.
struct Alike(BTreeMap<String, Vec<bool>>);

impl Alike {
    fn new<M: Model>(model: &M, configs: &[AdapterConfig], ranks: &[Vec<usize>]) -> Self {
        let form = |k: usize| (configs[k].dora, configs[k].init == Init::Pissa, configs[k].dropout > 0.0);
        let mut modules: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, site) in model.sites().iter().enumerate() {
            modules.entry(site.module.clone()).or_default().push(index);
        }
        let padded = if ops::on_cpu(&model.device()) { 0 } else { PADDED };
        let with_before = |sites: &[usize], k: usize| {
            k > 0
                && form(k) == form(k - 1)
                && sites.iter().all(|site| {
                    let (rank, before) = (ranks[k][*site], ranks[k - 1][*site]);
                    rank == before || rank.min(before) > 0 && rank.max(before) <= padded
                })
        };
        let all = modules.into_iter().map(|(module, sites)| {
            let alike = (0..configs.len()).map(|k| with_before(&sites, k)).collect();
            (module, alike)
        });
        Self(all.collect())
    }

    /// For each adapter, whether it is like the one before it; the first is not.
    fn at(&self, slot: &Slot) -> &[bool] {
        self.0.get(&slot.module).map_or(&[], Vec::as_slice)
    }
}

/// Makes sure that an adapter has factors of these `ranks` for the layers of `model`.
///
/// # Errors
/// [`Error::Mismatch`].
pub(super) fn check<M: Model>(adapter: &Adapter, ranks: &[usize], model: &M) -> Result<(), Error> {
    if (adapter.config.init == Init::Pissa) == adapter.offset.is_empty() {
        let why = "only an adapter that begins with PiSSA has an offset, and it must have one";
        return Err(Error::Mismatch { why: why.into() });
    }
    let mut expected = model.sites().iter().zip(ranks).filter(|(_, rank)| **rank > 0);
    let mut found = adapter.factors.iter();
    loop {
        match (expected.next(), found.next()) {
            (None, None) => return Ok(()),
            (Some((site, rank)), Some(f))
                if f.path == site.path
                    && f.rank == *rank
                    && f.a.len() == rank * site.inputs
                    && f.b.len() == site.outputs * rank
                    && f.magnitude.as_ref().map(Vec::len) == adapter.config.dora.then_some(site.outputs) => {}
            (site, factors) => {
                let expected = site.map_or("nothing more".to_string(), |(site, rank)| {
                    format!("`{}` with rank {rank} and shape {} x {}", site.path, site.outputs, site.inputs)
                });
                let found = factors.map_or("nothing more".to_string(), |f| {
                    format!("`{}` with rank {} and shape {} x {}", f.path, f.rank, f.outputs, f.inputs)
                });
                return Err(Error::Mismatch { why: format!("expected {expected}, found {found}") });
            }
        }
    }
}
