//! K adapters of different ranks over one frozen base, in one forward pass.

use super::band::{self, Band};
use super::first_values::fnv1a;
use super::host::{host, rows};
use super::layout::{Layout, Slot};
use super::probe::Probe;
use super::products::{BandFactors, SiteFactors};
use crate::{Adapter, AdapterConfig, Error, Factors, Init, Model};
use burn::tensor::{Device, Tensor, TensorData};
use std::sync::Arc;

/// K adapters, ready for a model's forward pass.
#[derive(Clone, Debug)]
pub struct AdapterStack {
    configs: Vec<AdapterConfig>,
    /// `ranks[k][site]`.
    ranks: Vec<Vec<usize>>,
    pub(crate) layout: Arc<Layout>,
    /// `bands[slot]`.
    pub(crate) bands: Vec<Vec<Band>>,
    /// All factors, `[K, P]`, without autodiff.
    pub(crate) flat: Tensor<2>,
    /// Frozen factors that are taken off, `[K, P]`.
    offset: Option<Tensor<2>>,
    /// For each site of the model, if some adapter acts there.
    pub(crate) sites: Vec<Option<SiteFactors>>,
    /// Draws of the dropout of each adapter; `None` for no dropout.
    pub(crate) draws: Option<Vec<u64>>,
    /// Looks at the inputs of the layers.
    pub(crate) probe: Option<Probe>,
}

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
        let bands = layout.slots.iter().map(|slot| self.bands_with(slot, &ranks, &dora)).collect();
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
    fn bands_with(&self, slot: &Slot, ranks: &[Vec<usize>], dora: &[bool]) -> Vec<Band> {
        let known = self.layout.slots.iter().position(|own| own.site == slot.site);
        let mut all = known.map_or(Vec::new(), |index| self.bands[index].clone());
        let own = self.len();
        let new: Vec<usize> = ranks[own..].iter().map(|of| of[slot.site]).collect();
        let shifted = |band: Band| Band { members: band.members.start + own..band.members.end + own, ..band };
        all.extend(band::bands(&new, &dora[own..]).into_iter().map(shifted));
        all
    }

    /// Only the adapters `keep`, in that order; what stays is unchanged to the bit.
    #[must_use]
    pub fn keep(&self, keep: &[usize]) -> Self {
        let mut stack = self.clone();
        stack.configs = keep.iter().map(|k| self.configs[*k].clone()).collect();
        stack.ranks = keep.iter().map(|k| self.ranks[*k].clone()).collect();
        stack.bands = self.bands.iter().map(|bands| band::kept(bands, keep)).collect();
        stack.offset = self.offset.as_ref().map(|offset| rows(offset, keep));
        stack.draws = self.draws.as_ref().map(|draws| keep.iter().map(|k| draws[*k]).collect());
        stack.set_flat(rows(&self.flat, keep));
        stack
    }

    /// One adapter that does nothing in place of these, for what all of them would compute alike.
    #[must_use]
    pub fn idle(&self) -> Self {
        Self {
            configs: vec![AdapterConfig::new::<String>([], 0)],
            ranks: vec![vec![0; self.sites.len()]],
            layout: Arc::new(Layout { slots: Vec::new() }),
            bands: Vec::new(),
            flat: Tensor::zeros([1, 1], &self.flat.device()),
            offset: None,
            sites: vec![None; self.sites.len()],
            draws: None,
            probe: self.probe.clone(),
        }
    }

    /// This stack, showing the inputs of linear layers to `probe`.
    pub(crate) fn probed(mut self, probe: Probe) -> Self {
        self.probe = Some(probe);
        self
    }

    /// Number of adapters, K.
    pub fn len(&self) -> usize {
        self.configs.len()
    }

    /// Whether there are no adapters at all.
    pub fn is_empty(&self) -> bool {
        self.configs.is_empty()
    }

    /// Configuration of each adapter.
    pub fn configs(&self) -> &[AdapterConfig] {
        &self.configs
    }

    /// Rank of each adapter at each site, `[k][site]`.
    pub fn ranks(&self) -> &[Vec<usize>] {
        &self.ranks
    }

    /// Whether some adapter acts at one of the sites `from..to`.
    pub fn acts_within(&self, sites: std::ops::Range<usize>) -> bool {
        self.sites[sites].iter().any(Option::is_some)
    }

    /// All factors as one row for each adapter, `[K, P]`.
    pub fn flat(&self) -> Tensor<2> {
        self.flat.clone()
    }

    /// Replaces all factors, `[K, P]` in the layout of [`flat`](Self::flat).
    pub fn set_flat(&mut self, flat: Tensor<2>) {
        self.sites.iter_mut().for_each(|site| *site = None);
        for (slot, bands) in self.layout.slots.iter().zip(&self.bands) {
            let factors = |band: &Band| {
                let scales: Vec<f64> = band.members.clone().map(|k| self.scale(k, slot)).collect();
                BandFactors::new(band, slot, &flat, self.offset.as_ref(), &scales, &self.configs)
            };
            if !bands.is_empty() {
                let bands = bands.iter().map(factors).collect();
                self.sites[slot.site] = Some(SiteFactors { bands, stream: fnv1a(&slot.path) });
            }
        }
        self.flat = flat;
    }

    fn scale(&self, k: usize, slot: &Slot) -> f64 {
        self.configs[k].site_scale(&slot.path, self.ranks[k][slot.site].max(1))
    }

    /// Replaces the factors of adapter `k` by others of the same layers and ranks.
    ///
    /// # Errors
    /// [`Error::Mismatch`].
    pub fn set_factors(&mut self, k: usize, factors: &[Factors]) -> Result<(), Error> {
        let mut all = self.unpad(&self.flat);
        let shape = |f: &Factors| (f.path.clone(), f.rank, f.a.len(), f.b.len());
        if !all[k].iter().map(shape).eq(factors.iter().map(shape)) {
            let why = format!("adapter {k} of the stack has other layers or ranks than the new factors");
            return Err(Error::Mismatch { why });
        }
        all[k] = factors.to_vec();
        self.set_flat(self.pad(&all, &self.flat.device()));
        Ok(())
    }

    /// The adapters on the host.
    pub fn adapters(&self) -> Vec<Adapter> {
        let parts = self.unpad(&self.flat).into_iter().zip(self.offsets());
        let configs = self.configs.iter().cloned();
        configs.zip(parts).map(|(config, (factors, offset))| Adapter { config, factors, offset }).collect()
    }

    /// The offset of each adapter, empty for those without.
    fn offsets(&self) -> Vec<Vec<Factors>> {
        let Some(offset) = &self.offset else { return vec![Vec::new(); self.len()] };
        let has = |k: usize| self.configs[k].init == Init::Pissa;
        let all = self.unpad(offset).into_iter().enumerate();
        all.map(|(k, own)| if has(k) { own } else { Vec::new() }).collect()
    }

    /// Rows `[K, P]` in the layout of this stack (gradients, say), as the factors of each adapter.
    pub fn unpad(&self, flat: &Tensor<2>) -> Vec<Vec<Factors>> {
        let width = self.layout.width();
        let values = host(flat.clone());
        let row = |k: usize| &values[k * width..(k + 1) * width];
        (0..self.len()).map(|k| self.layout.unpad(row(k), &self.ranks[k], self.configs[k].dora)).collect()
    }

    /// The factors of each adapter as rows `[K, P]` in the layout of this stack.
    pub(crate) fn pad(&self, factors: &[Vec<Factors>], device: &Device) -> Tensor<2> {
        let rows: Vec<f32> = factors.iter().flat_map(|own| self.layout.pad(own)).collect();
        Tensor::from_data(TensorData::new(rows, [self.len(), self.layout.width()]), device)
    }
}

fn check<M: Model>(adapter: &Adapter, ranks: &[usize], model: &M) -> Result<(), Error> {
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
