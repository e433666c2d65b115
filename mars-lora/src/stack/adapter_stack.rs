//! K adapters of different ranks over one frozen base, in one forward pass.
//!
//! All factors are one matrix `[K, P]`, a row for each adapter, so that the optimizer, clipping and saving are
//! a few operations on one tensor. Views of it by site and band are rebuilt whenever it is replaced.

use super::band::{self, Band};
use super::first_values::fnv1a;
use super::host::{host, rows};
use super::layout::{Layout, Slot};
use super::probe::Probe;
use super::products::{BandFactors, SiteFactors};
use crate::{Adapter, AdapterConfig, Error, Factors, Init};
use burn::tensor::{Device, Tensor, TensorData};
use std::sync::Arc;

/// K adapters, ready for a model's forward pass.
#[derive(Clone, Debug)]
pub struct AdapterStack {
    pub(super) configs: Vec<AdapterConfig>,
    /// `ranks[k][site]`.
    pub(super) ranks: Vec<Vec<usize>>,
    pub(crate) layout: Arc<Layout>,
    /// `bands[slot]`.
    pub(crate) bands: Vec<Vec<Band>>,
    /// All factors, `[K, P]`, without autodiff.
    pub(crate) flat: Tensor<2>,
    /// Frozen factors whose product is subtracted, `[K, P]`.
    pub(super) offset: Option<Tensor<2>>,
    /// For each site of the model, if some adapter acts there.
    pub(crate) sites: Vec<Option<SiteFactors>>,
    /// Draws of the dropout of each adapter; `None` for no dropout.
    pub(crate) draws: Option<Vec<u64>>,
    /// Looks at the inputs of the layers.
    pub(crate) probe: Option<Probe>,
}

impl AdapterStack {
    /// Only the adapters `keep`, in that order; what stays is unchanged to the bit.
    /// # Panics
    /// If an index is not below K.
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
    /// A stack of K = 1, for batches that are not repeated for each adapter.
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

    /// Whether the inputs of linear layers are read on the way ([`Activations::of`](crate::Activations::of)): a layer that a
    /// model does not compute again, since nothing would change, is then missing.
    pub fn is_probed(&self) -> bool {
        self.probe.is_some()
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
    /// P is the sum over adapted sites of `R (inputs + outputs)`, plus `outputs` with DoRA, where R is the
    /// largest rank of the stack at the site; entries beyond the rank of an adapter are zero.
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

    /// `s` of adapter k at a slot: `alpha / r` or the convention of its configuration, at its own rank.
    fn scale(&self, k: usize, slot: &Slot) -> f64 {
        self.configs[k].site_scale(&slot.path, self.ranks[k][slot.site].max(1))
    }

    /// Replaces the factors of adapter `k` by others of the same layers and ranks.
    ///
    /// # Errors
    /// [`Error::Mismatch`] if paths, order, ranks or shapes differ from those of adapter `k`.
    ///
    /// # Panics
    /// If `k` is not below K.
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
    /// One for each of the K, in order, without padding; [`AdapterStack::new`] makes the same stack of them.
    pub fn adapters(&self) -> Vec<Adapter> {
        let parts = self.unpad(&self.flat).into_iter().zip(self.offsets());
        let configs = self.configs.iter().cloned();
        configs.zip(parts).map(|(config, (factors, offset))| Adapter { config, factors, offset }).collect()
    }

    /// The offset of each adapter, empty for those without.
    pub(super) fn offsets(&self) -> Vec<Vec<Factors>> {
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
