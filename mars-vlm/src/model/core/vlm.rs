//! A multimodal language model of any architecture: the architecture gives image features, the rest is here.

use super::batch_pass::BatchPass;
use super::feature_cache::FeatureCache;
use super::flops;
use super::memory;
use super::modules::LANGUAGE_MODEL;
use super::network::Network;
use super::score_copies::ScoreCopies;
use super::sizes::{ModelSizes, VisionLoad};
use super::work::Work;
use crate::Error;
use crate::checkpoint::{self, Loader, Precision, Source, Storage, Stored, Weights};
use crate::model::batch::VlmBatch;
use crate::processor::ImageShape;
use burn::module::ParamId;
use burn::tensor::{Device, Tensor};
use mars_lora::{AdaptedModule, AdapterStack, Chain, Model, PassFlops, Site, SiteKind, TokenLosses};
use std::ops::Range;
use std::path::Path;

/// A loaded model.
#[derive(Debug)]
pub struct Vlm<N: Network> {
    /// The parameters; frozen unless you train them yourself.
    pub net: N,
    /// Its sizes.
    pub config: N::Config,
    /// Names of the parameters on disk.
    pub stored: Vec<Stored>,
    modules: Vec<AdaptedModule>,
    sites: Vec<Site>,
    /// Weight of each site.
    weights: Vec<ParamId>,
    /// Sites before the language model.
    image_sites: Range<usize>,
    sizes: ModelSizes,
    features: Option<FeatureCache>,
    device: Device,
}

impl<N: Network> Vlm<N> {
    /// Loads the checkpoint in `dir` (a Hugging Face directory) as f32 onto `device`.
    ///
    /// # Errors
    /// Those of [`Network::config`] and [`Weights::open`], [`Error::MissingTensor`], [`Error::WrongShape`],
    /// [`Error::NotFinite`], [`Error::ExtraTensors`].
    pub fn from_dir(dir: &Path, device: &Device) -> Result<Self, Error> {
        Self::load(dir, Precision::F32, device)
    }

    /// As [`from_dir`](Self::from_dir), with the matrices in another precision, or packed.
    ///
    /// # Errors
    /// Those of [`from_dir`](Self::from_dir), and [`Error::TooLarge`] for a value that is too large for f16,
    /// [`Error::Kernel`] for a kernel that the processor lacks.
    pub fn load(dir: &Path, storage: impl Into<Storage>, device: &Device) -> Result<Self, Error> {
        let config = N::config(dir)?;
        let mut weights = Weights::open(dir)?;
        let model = Self::build(config, &mut weights, storage.into(), device)?;
        // Tables that follow from the configuration, and the output layer of tied models.
        let usual = [".inv_freq", ".position_ids", "lm_head.weight"];
        weights.check_all_read(|name| {
            usual.iter().any(|end| name.ends_with(end)) || N::SPARE.iter().any(|part| name.contains(part))
        })?;
        Ok(model)
    }

    /// Builds the model from named tensors.
    ///
    /// # Errors
    /// Those of `source`.
    pub fn from_source(config: N::Config, source: &mut dyn Source, device: &Device) -> Result<Self, Error> {
        Self::build(config, source, Precision::F32.into(), device)
    }

    fn build(
        config: N::Config,
        source: &mut dyn Source,
        storage: Storage,
        device: &Device,
    ) -> Result<Self, Error> {
        let mut loader = Loader::new(source, device).with_aliases(N::ALIASES).with_storage(storage);
        let net = N::load(&config, &mut loader)?;
        let Loader { sites, weights, stored, in_blocks, packed: (in_tiles, tile_bytes), .. } = loader;
        let precision = storage.precision;
        let below = sites.iter().take_while(|site| site.module != LANGUAGE_MODEL).count();
        let parameters = stored.iter().map(Stored::parameters).sum();
        let matrices: usize = sites.iter().map(|site| site.inputs * site.outputs).sum();
        let heads = stored.iter().filter(|s| s.name.ends_with("lm_head.weight")).map(Stored::parameters);
        let matrices = matrices + heads.sum::<usize>();
        // Four bits are a byte each on the CPU.
        let packed = !mars_lora::ops::on_cpu(device);
        let quantised = precision.bytes(packed) * in_blocks as f64;
        let others = precision.floating().bytes(packed) * (matrices - in_blocks - in_tiles) as f64;
        let bytes = (quantised + others) as usize + tile_bytes + size_of::<f32>() * (parameters - matrices);
        let multiplied = sites.iter().filter(|site| site.kind != SiteKind::Embedding);
        let largest = multiplied.map(|site| site.inputs * site.outputs).max().unwrap_or(0);
        // All linear layers are packed, or none.
        let largest = if in_tiles > 0 { 0 } else { largest };
        Ok(Self {
            modules: N::names().modules,
            sizes: ModelSizes {
                parameters,
                bytes,
                narrow: precision != Precision::F32,
                largest,
                ..N::sizes(&config)
            },
            image_sites: 0..below,
            net,
            config,
            stored,
            sites,
            weights,
            features: None,
            device: device.clone(),
        })
    }

    /// Keeps the features of images, `bytes` of them at most, for passes in which no adapter acts on vision encoder and projector.
    ///
    /// Each image is then encoded once. For models whose encoder and projector are not changed afterwards.
    pub fn keep_features(&mut self, bytes: usize) {
        self.features = (bytes > 0).then(|| FeatureCache::new(bytes));
    }

    /// Bytes of features that are kept now; 0 where none are.
    pub fn kept_features(&self) -> usize {
        self.features.as_ref().map_or(0, |features| features.bytes().1)
    }

    /// Most bytes of features that may be kept.
    pub fn most_features(&self) -> usize {
        self.features.as_ref().map_or(0, |features| features.bytes().0)
    }

    /// Sizes for estimates.
    pub fn sizes(&self) -> ModelSizes {
        self.sizes
    }

    /// Bytes that a pass over `work` holds at most, beside weights and adapters.
    pub fn pass_bytes(&self, work: &Work<'_>) -> usize {
        let load = self.vision_load(work.images).times(work.image_copies());
        memory::pass_bytes(&self.sizes, &load, work, ScoreCopies::on(&self.device, &self.sizes))
    }

    /// What the vision encoder does for `images`.
    pub fn vision_load(&self, images: &[ImageShape]) -> VisionLoad {
        N::vision_load(&self.config, images)
    }

    /// A pass over `batch` for `adapters`, or others of the same sites.
    fn pass<'a>(&'a self, batch: &'a VlmBatch, adapters: &AdapterStack) -> BatchPass<'a, N> {
        let net = (&self.net, &self.config);
        let cache = self.features.as_ref();
        BatchPass::new(net, self.image_sites.clone(), batch, adapters, cache, &self.device)
    }

    /// Logits of every position, `[K * B, S, vocabulary]`; for checks, since training needs only the answers'.
    pub fn logits(&self, batch: &VlmBatch, adapters: &AdapterStack) -> Tensor<3> {
        let hidden = self.pass(batch, adapters).hidden(adapters);
        let logits = self.net.language().logits(hidden);
        let vocabulary = logits.dims()[1];
        logits.reshape([batch.adapters * batch.samples, batch.positions, vocabulary])
    }
}

impl<N: Network> Model for Vlm<N> {
    type Batch = VlmBatch;

    fn modules(&self) -> &[AdaptedModule] {
        &self.modules
    }

    fn sites(&self) -> &[Site] {
        &self.sites
    }

    fn weight(&self, site: usize) -> Option<Tensor<2>> {
        checkpoint::matrix(&self.net, *self.weights.get(site)?)
    }

    fn device(&self) -> Device {
        self.device.clone()
    }

    fn forward(&self, batch: &VlmBatch, adapters: &AdapterStack, score: bool) -> TokenLosses {
        let pass = self.pass(batch, adapters);
        pass.losses(pass.hidden(adapters), score)
    }

    fn chain<'a>(&'a self, batch: &'a VlmBatch, adapters: &AdapterStack) -> Option<Box<dyn Chain + 'a>> {
        Some(Box::new(self.pass(batch, adapters)))
    }

    fn flops(&self, batch: &VlmBatch, ranks: &[Vec<usize>]) -> Vec<PassFlops> {
        let each = batch.loads.iter().zip(ranks);
        each.map(|(load, ranks)| {
            let vision = self.vision_load(&load.images);
            flops::pass(&self.sizes, &self.sites, load, &vision, ranks)
        })
        .collect()
    }
}
