//! Idefics3 and SmolVLM: vision encoder, connector and decoder as one model with sites for adapters.

use super::batch::{VlmBatch, indices};
use super::config::Idefics3Config;
use super::connector::Connector;
use super::flops;
use super::text::TextModel;
use super::vision::VisionModel;
use crate::Error;
use crate::checkpoint::{Loader, Source, Stored, Weights};
use burn::module::{Module, Param};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor};
use mars_lora::{AdapterStack, Component, Model, PassFlops, Site, TokenLosses};
use std::ops::Range;
use std::path::Path;

/// Component name of the vision encoder.
pub(crate) const VISION: &str = "ve";
/// Component name of the connector.
pub(crate) const PROJECTOR: &str = "projector";
/// Component name of the language model.
pub(crate) const TEXT: &str = "llm";

/// The parameters.
#[derive(Module, Debug)]
pub struct Idefics3Net {
    /// Vision encoder.
    pub vision: VisionModel,
    /// Connector.
    pub connector: Connector,
    /// Decoder.
    pub text: TextModel,
    /// Output layer `[width, vocabulary]`; absent when it is the embedding table.
    pub lm_head: Option<Param<Tensor<2>>>,
}

/// A loaded model.
#[derive(Debug)]
pub struct Idefics3 {
    /// The parameters; frozen unless you train them yourself.
    pub net: Idefics3Net,
    /// Its sizes.
    pub config: Idefics3Config,
    /// Names of the parameters on disk.
    pub stored: Vec<Stored>,
    components: Vec<Component>,
    sites: Vec<Site>,
    vision_sites: Range<usize>,
    device: Device,
}

impl Idefics3 {
    /// Loads the checkpoint in `dir` (a Hugging Face directory) as f32 onto `device`.
    ///
    /// # Errors
    /// Those of [`Idefics3Config::from_dir`] and [`Weights::open`], [`Error::MissingTensor`], [`Error::WrongShape`].
    pub fn from_dir(dir: &Path, device: &Device) -> Result<Self, Error> {
        let config = Idefics3Config::from_dir(dir)?;
        Self::from_source(config, &mut Weights::open(dir)?, device)
    }

    /// Builds the model from named tensors.
    ///
    /// # Errors
    /// Those of `source`.
    pub fn from_source(
        config: Idefics3Config,
        source: &mut dyn Source,
        device: &Device,
    ) -> Result<Self, Error> {
        let (v, t) = (&config.vision_config, &config.text_config);
        let mut loader = Loader::new(source, device);
        let vision = VisionModel::load(&mut loader, "model.vision_model", v)?;
        let connector = Connector::load(
            &mut loader,
            "model.connector",
            config.scale_factor,
            v.hidden_size,
            t.hidden_size,
        )?;
        let vision_sites = 0..loader.sites.len();
        let text = TextModel::load(&mut loader, "model.text_model", t)?;
        let lm_head = match config.tie_word_embeddings {
            true => None,
            false => Some(loader.transposed("lm_head.weight", &[t.vocab_size, t.hidden_size])?),
        };
        let (sites, stored) = (loader.sites, loader.stored);
        let component = |name: &str, pattern: &str| Component { name: name.into(), pattern: pattern.into() };
        Ok(Self {
            net: Idefics3Net { vision, connector, text, lm_head },
            config,
            stored,
            components: vec![
                component(VISION, r"vision_model\..*"),
                component(PROJECTOR, r"connector\..*"),
                component(TEXT, r"text_model\..*"),
            ],
            sites,
            vision_sites,
            device: device.clone(),
        })
    }

    /// Image features of tiles `[K * T, channels, height, width]`, `[K * T, tokens per tile, d_text]`.
    pub fn image_features(&self, tiles: Tensor<4>, adapters: &AdapterStack) -> Tensor<3> {
        self.net.connector.forward(self.net.vision.forward(tiles, adapters), adapters)
    }

    /// Hidden states of all positions, `[K * B * S, d_text]`.
    fn hidden(&self, batch: &VlmBatch, adapters: &AdapterStack) -> Tensor<2> {
        let width = self.config.text_config.hidden_size;
        let text = self.net.text.embed(batch.ids.clone());
        let x = match &batch.tiles {
            None => text,
            Some(tiles) => {
                let (features, merge) = if adapters.acts_within(self.vision_sites.clone()) {
                    let order = batch.stacked_tiles.iter().map(|t| *t as i32).collect();
                    let stacked = tiles.clone().select(0, indices(order, &self.device));
                    (self.image_features(stacked, adapters), &batch.merge_stacked)
                } else {
                    // All adapters see the same features: once is enough.
                    let base = AdapterStack::base(1, self);
                    (self.image_features(tiles.clone(), &base), &batch.merge_distinct)
                };
                let [tiles, tokens, _] = features.dims();
                let both = Tensor::cat(vec![text, features.reshape([tiles * tokens, width])], 0);
                both.select(0, merge.clone())
            }
        };
        let x = x.reshape([batch.adapters * batch.samples, batch.positions, width]);
        let cells = batch.adapters * batch.samples * batch.positions;
        self.net.text.forward(x, adapters).reshape([cells, width])
    }

    /// Logits of the given rows of hidden states, `[N, vocabulary]`.
    fn logits_of(&self, hidden: Tensor<2>) -> Tensor<2> {
        match &self.net.lm_head {
            Some(head) => hidden.matmul(head.val()),
            None => hidden.matmul(self.net.text.embed_tokens.val().transpose()),
        }
    }

    /// Logits of every position, `[K * B, S, vocabulary]`; for checks, since training needs only the answers'.
    pub fn logits(&self, batch: &VlmBatch, adapters: &AdapterStack) -> Tensor<3> {
        let logits = self.logits_of(self.hidden(batch, adapters));
        let vocabulary = logits.dims()[1];
        logits.reshape([batch.adapters * batch.samples, batch.positions, vocabulary])
    }
}

impl Model for Idefics3 {
    type Batch = VlmBatch;

    fn components(&self) -> &[Component] {
        &self.components
    }

    fn sites(&self) -> &[Site] {
        &self.sites
    }

    fn device(&self) -> Device {
        self.device.clone()
    }

    fn forward(&self, batch: &VlmBatch, adapters: &AdapterStack, score: bool) -> TokenLosses {
        let hidden = self.hidden(batch, adapters).select(0, batch.predictors.clone());
        let logits = self.logits_of(hidden);
        let shape = batch.weights.dims();
        let targets: Tensor<2, Int> = batch.targets.clone().unsqueeze_dim(1);
        let correct = score.then(|| {
            let hits = logits.clone().argmax(1).equal(targets.clone());
            hits.float().reshape(shape)
        });
        let losses = log_softmax(logits, 1).gather(1, targets).neg().reshape(shape);
        TokenLosses { losses, weights: batch.weights.clone(), correct, tokens: batch.tokens.clone() }
    }

    fn flops(&self, batch: &VlmBatch, ranks: &[Vec<usize>]) -> Vec<PassFlops> {
        let each = batch.loads.iter().zip(ranks);
        each.map(|(load, ranks)| flops::pass(&self.config, &self.sites, *load, ranks)).collect()
    }
}
