//! K adapters of different ranks over one frozen base, in one forward pass.
//!
//! At each site the factors of all adapters are padded with zeros to the largest rank there and multiplied
//! as one batch: `[K, N, in] x [K, in, R] x [K, R, out]`. Padding needs no mask: a zero column of A meets a
//! zero row of B, so both gradients are exactly zero and stay so under Adam and weight decay.

use crate::layout::Layout;
use crate::{Adapter, AdapterConfig, Error, Factors, Model};
use burn::tensor::{Device, Gradients, Tensor, TensorData};
use std::sync::Arc;

/// Factors of one site for all adapters.
#[derive(Clone, Debug)]
struct SiteFactors {
    a: Tensor<3>,
    b: Tensor<3>,
    /// Scale of all adapters, if they agree.
    scale: Option<f64>,
    /// Their scales `[K, 1, 1]`, if they do not.
    scales: Option<Tensor<3>>,
}

/// K adapters, ready for a model's forward pass.
#[derive(Clone, Debug)]
pub struct AdapterStack {
    configs: Vec<AdapterConfig>,
    /// `ranks[k][site]`.
    ranks: Vec<Vec<usize>>,
    layout: Arc<Layout>,
    /// All factors, `[K, P]`, without autodiff.
    flat: Tensor<2>,
    sites: Vec<Option<SiteFactors>>,
}

impl AdapterStack {
    /// The adapters, in order, for `model`.
    ///
    /// # Errors
    /// As [`AdapterConfig::site_ranks`], and [`Error::Mismatch`] if factors and configuration disagree.
    pub fn new<M: Model>(adapters: &[Adapter], model: &M) -> Result<Self, Error> {
        let mut ranks = Vec::with_capacity(adapters.len());
        for adapter in adapters {
            let own = adapter.config.site_ranks(model.components(), model.sites())?;
            check(adapter, &own, model)?;
            ranks.push(own);
        }
        let layout = Layout::new(model.sites(), &ranks);
        let rows: Vec<f32> = adapters.iter().flat_map(|adapter| layout.pad(&adapter.factors)).collect();
        let flat =
            Tensor::from_data(TensorData::new(rows, [adapters.len(), layout.width()]), &model.device());
        let mut stack = Self {
            configs: adapters.iter().map(|adapter| adapter.config.clone()).collect(),
            ranks,
            layout: Arc::new(layout),
            flat: flat.clone(),
            sites: vec![None; model.sites().len()],
        };
        stack.set_flat(flat);
        Ok(stack)
    }

    /// `count` adapters that do nothing: the base model, on a batch stacked `count` times.
    pub fn base<M: Model>(count: usize, model: &M) -> Self {
        let layout = Layout { slots: Vec::new() };
        Self {
            configs: vec![AdapterConfig::new::<String>([], 0); count],
            ranks: vec![vec![0; model.sites().len()]; count],
            layout: Arc::new(layout),
            flat: Tensor::zeros([count, 1], &model.device()),
            sites: vec![None; model.sites().len()],
        }
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

    pub(crate) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Replaces all factors, `[K, P]`.
    pub(crate) fn set_flat(&mut self, flat: Tensor<2>) {
        let count = self.len();
        for slot in &self.layout.slots {
            let a = flat.clone().slice([0..count, slot.start..slot.middle()]);
            let b = flat.clone().slice([0..count, slot.middle()..slot.end()]);
            let scales: Vec<f64> = (0..count).map(|k| self.scale(k, slot.site)).collect();
            let same = scales.iter().all(|s| *s == scales[0]);
            let each = (!same).then(|| {
                let data: Vec<f32> = scales.iter().map(|s| *s as f32).collect();
                Tensor::from_data(TensorData::new(data, [count, 1, 1]), &flat.device())
            });
            self.sites[slot.site] = Some(SiteFactors {
                a: a.reshape([count, slot.inputs, slot.rank]),
                b: b.reshape([count, slot.rank, slot.outputs]),
                scale: same.then_some(scales[0]),
                scales: each,
            });
        }
        self.flat = flat;
    }

    /// Scale of adapter `k` at `site`; where it does not act its factors are zero, and any scale will do.
    fn scale(&self, k: usize, site: usize) -> f64 {
        let acting = if self.ranks[k][site] > 0 {
            k
        } else {
            (0..self.len()).find(|j| self.ranks[*j][site] > 0).unwrap_or(k)
        };
        self.configs[acting].scale.scale(self.ranks[acting][site].max(1))
    }

    /// This stack with factors that collect gradients.
    #[must_use]
    pub fn tracked(&self) -> Self {
        let mut stack = self.clone();
        for site in stack.sites.iter_mut().flatten() {
            site.a = site.a.clone().autodiff().require_grad();
            site.b = site.b.clone().autodiff().require_grad();
        }
        stack
    }

    /// Gradients of a [`tracked`](Self::tracked) stack, `[K, P]`; zero for factors that the loss did not use.
    pub fn gradients(&self, gradients: &mut Gradients) -> Tensor<2> {
        let count = self.len();
        let device = self.flat.device();
        let mut parts = Vec::with_capacity(2 * self.layout.slots.len());
        for slot in &self.layout.slots {
            let factors = self.sites[slot.site].as_ref();
            for (width, factor) in [
                (slot.middle() - slot.start, factors.map(|f| &f.a)),
                (slot.end() - slot.middle(), factors.map(|f| &f.b)),
            ] {
                let gradient = factor.and_then(|f| f.grad_remove(gradients));
                parts.push(match gradient {
                    Some(gradient) => gradient.reshape([count, width]),
                    None => Tensor::zeros([count, width], &device),
                });
            }
        }
        Tensor::cat(parts, 1)
    }

    /// `s * (x A) B` for each adapter, or nothing if no adapter acts at `site`.
    /// `x` is `[K * N, inputs]`, the result `[K * N, outputs]`.
    pub(crate) fn delta(&self, site: usize, x: Tensor<2>) -> Option<Tensor<2>> {
        let SiteFactors { a, b, scale, scales } = self.sites.get(site)?.as_ref()?;
        let [rows, inputs] = x.dims();
        let count = self.len();
        let mut low = x.reshape([count, rows / count, inputs]).matmul(a.clone());
        if let Some(scale) = scale {
            low = low.mul_scalar(*scale);
        }
        if let Some(scales) = scales {
            low = low * scales.clone();
        }
        let delta = low.matmul(b.clone());
        let outputs = delta.dims()[2];
        Some(delta.reshape([rows, outputs]))
    }

    /// Only the adapters `keep`, in that order; what stays is unchanged to the bit.
    #[must_use]
    pub fn keep(&self, keep: &[usize]) -> Self {
        let mut stack = self.clone();
        stack.configs = keep.iter().map(|k| self.configs[*k].clone()).collect();
        stack.ranks = keep.iter().map(|k| self.ranks[*k].clone()).collect();
        stack.set_flat(rows(self.flat.clone(), keep));
        stack
    }

    /// The adapters on the host.
    pub fn adapters(&self) -> Vec<Adapter> {
        let all = self.unpad(&self.flat);
        self.configs.iter().cloned().zip(all).map(|(config, factors)| Adapter { config, factors }).collect()
    }

    /// Rows `[K, P]` in the layout of this stack, as the factors of each adapter.
    pub(crate) fn unpad(&self, flat: &Tensor<2>) -> Vec<Vec<Factors>> {
        let width = self.layout.width();
        let values = host(flat.clone());
        (0..self.len())
            .map(|k| self.layout.unpad(&values[k * width..(k + 1) * width], &self.ranks[k]))
            .collect()
    }

    /// The factors of each adapter as rows `[K, P]` in the layout of this stack.
    pub(crate) fn pad(&self, factors: &[Vec<Factors>], device: &Device) -> Tensor<2> {
        let rows: Vec<f32> = factors.iter().flat_map(|own| self.layout.pad(own)).collect();
        Tensor::from_data(TensorData::new(rows, [self.len(), self.layout.width()]), device)
    }
}

/// Rows `keep` of a matrix.
pub(crate) fn rows(matrix: Tensor<2>, keep: &[usize]) -> Tensor<2> {
    let width = matrix.dims()[1];
    Tensor::cat(keep.iter().map(|k| matrix.clone().slice([*k..*k + 1, 0..width])).collect(), 0)
}

/// The values of a tensor, row-major, as f32.
pub(crate) fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

fn check<M: Model>(adapter: &Adapter, ranks: &[usize], model: &M) -> Result<(), Error> {
    let mut expected = model.sites().iter().zip(ranks).filter(|(_, rank)| **rank > 0);
    let mut found = adapter.factors.iter();
    loop {
        match (expected.next(), found.next()) {
            (None, None) => return Ok(()),
            (Some((site, rank)), Some(f))
                if f.path == site.path
                    && f.rank == *rank
                    && f.a.len() == rank * site.inputs
                    && f.b.len() == site.outputs * rank => {}
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
