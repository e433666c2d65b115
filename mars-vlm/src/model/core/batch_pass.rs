//! A pass over one batch: images, then text, as one chain of blocks.
//!
//! The chain is the blocks of the vision encoder, one link that projects features and puts them among the embeddings
//! of text, and the blocks of the decoder. Batches without images have the last of these only.

use super::deepstack;
use super::feature_cache::FeatureCache;
use super::network::{EncoderPass, Network};
use super::text::TextPass;
use crate::model::batch::{Placement, VisionInput, VlmBatch};
use burn::tensor::{Device, Tensor};
use mars_lora::{AdapterStack, Chain, TokenLosses};
use std::ops::Range;

/// A pass over a batch, with what it makes before its first block: the tiles in order, rotary angles, masks.
pub(super) struct BatchPass<'a, N: Network> {
    net: &'a N,
    /// Sites before the language model.
    image_sites: Range<usize>,
    batch: &'a VlmBatch,
    images: Option<ImagePass<'a>>,
    text: TextPass<'a>,
}

/// The part of a pass before the decoder.
struct ImagePass<'a> {
    features: Features<'a>,
    placement: &'a Placement,
}

/// Where the features of the images come from.
enum Features<'a> {
    /// From the encoder.
    Encoder {
        pass: Box<dyn EncoderPass + 'a>,
        /// An adapter that does nothing, if all adapters see the same features: then once is enough.
        shared: Option<Box<AdapterStack>>,
    },
    /// They are known, and the same for all adapters.
    Known(Box<Tensor<2>>),
}

impl ImagePass<'_> {
    /// Blocks of the encoder that are still to be computed.
    fn blocks(&self) -> usize {
        match &self.features {
            Features::Encoder { pass, .. } => pass.blocks(),
            Features::Known(_) => 0,
        }
    }

    /// What the first block takes, or the features as `[1, features, width]`.
    fn embed(&self, adapters: &AdapterStack) -> Tensor<3> {
        match &self.features {
            Features::Encoder { pass, shared } => pass.embed(shared.as_deref().unwrap_or(adapters)),
            Features::Known(features) => Tensor::clone(features).unsqueeze(),
        }
    }

    fn block(&self, index: usize, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        match &self.features {
            Features::Encoder { pass, shared } => pass.block(index, x, shared.as_deref().unwrap_or(adapters)),
            Features::Known(_) => x,
        }
    }

    /// Features of the decoder's width, from what the last block gives.
    fn project(&self, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<2> {
        match &self.features {
            Features::Encoder { pass, shared } => pass.project(x, shared.as_deref().unwrap_or(adapters)),
            Features::Known(_) => x.squeeze_dim(0),
        }
    }

    /// Whether no adapter acts on the features.
    fn shared(&self) -> bool {
        !matches!(&self.features, Features::Encoder { shared: None, .. })
    }
}

/// The features that `pass` gives.
fn encoded(pass: &dyn EncoderPass, adapters: &AdapterStack) -> Tensor<2> {
    let last = (0..pass.blocks()).fold(pass.embed(adapters), |x, index| pass.block(index, x, adapters));
    pass.project(last, adapters)
}

impl<'a, N: Network> BatchPass<'a, N> {
    /// For `adapters`, or others of the same sites; `image_sites` are those before the language model. Features on which no
    /// adapter acts are taken from `cache`, or put there, except where inputs of layers are read.
    pub(super) fn new(
        (net, config): (&'a N, &'a N::Config),
        image_sites: Range<usize>,
        batch: &'a VlmBatch,
        adapters: &AdapterStack,
        cache: Option<&FeatureCache>,
        device: &Device,
    ) -> Self {
        let images = batch.images.as_ref().map(|images| {
            let stacked = adapters.acts_within(image_sites.clone());
            let placement = if stacked { &images.stacked } else { &images.distinct };
            let features = match cache.filter(|_| !stacked && !adapters.is_probed()) {
                Some(cache) => {
                    let idle = adapters.idle();
                    let encode = |input: &VisionInput<'_>| encoded(&*net.encoder(config, input), &idle);
                    Features::Known(Box::new(cache.features(images, encode)))
                }
                None => Features::Encoder {
                    pass: net.encoder(config, &images.input(placement)),
                    shared: (!stacked).then(|| Box::new(adapters.idle())),
                },
            };
            ImagePass { features, placement }
        });
        let shape = [batch.adapters * batch.samples, batch.positions];
        let text = net.language().text.pass(shape, batch.axes.as_ref(), &batch.pictures, device);
        Self { net, image_sites, batch, images, text }
    }

    /// Links before the decoder's blocks.
    fn below(&self) -> usize {
        self.images.as_ref().map_or(0, |images| images.blocks() + 1)
    }

    /// Embeddings of the text, `[K * B * S, width]`.
    /// Features replace the rows of image tokens afterwards.
    fn embed(&self, adapters: &AdapterStack) -> Tensor<2> {
        self.net.language().text.embed(self.batch.ids.clone(), adapters)
    }

    /// `[K * B * S, width]` as the decoder takes it.
    fn rows(&self, x: Tensor<2>) -> Tensor<3> {
        let width = x.dims()[1];
        x.reshape([self.batch.adapters * self.batch.samples, self.batch.positions, width])
    }

    /// Hidden states of all positions, `[K * B * S, width]`.
    pub(super) fn hidden(&self, adapters: &AdapterStack) -> Tensor<2> {
        let x = (0..self.blocks()).fold(self.begin(adapters), |x, index| self.block(index, x, adapters));
        self.norm(x)
    }

    /// The norm after the decoder, from `[K * B, S, width]` to `[K * B * S, width]`.
    fn norm(&self, x: Tensor<3>) -> Tensor<2> {
        let [rows, positions, width] = x.dims();
        self.text.norm(x).reshape([rows * positions, width])
    }

    /// Losses of the answer tokens from `hidden` `[K * B * S, width]`.
    pub(super) fn losses(&self, hidden: Tensor<2>, score: bool) -> TokenLosses {
        let batch = self.batch;
        let hidden = hidden.select(0, batch.predictors.clone());
        let scored = self.net.language().losses(hidden, batch.targets.clone(), score);
        let shape = batch.weights.dims();
        TokenLosses {
            losses: scored.losses.reshape(shape),
            weights: batch.weights.clone(),
            correct: scored.correct.map(|correct| correct.reshape(shape)),
            tokens: batch.tokens.clone(),
        }
    }
}

impl<N: Network> Chain for BatchPass<'_, N> {
    fn begin(&self, adapters: &AdapterStack) -> Tensor<3> {
        match &self.images {
            Some(images) => images.embed(adapters),
            None => self.rows(self.embed(adapters)),
        }
    }

    fn blocks(&self) -> usize {
        self.below() + self.text.blocks()
    }

    fn block(&self, index: usize, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3> {
        match &self.images {
            Some(images) if index < images.blocks() => images.block(index, x, adapters),
            Some(images) if index == images.blocks() => {
                let features = images.project(x, adapters);
                let text = deepstack::widen(self.embed(adapters), features.dims()[1]);
                self.rows(images.placement.merge(text, features, self.net.newline()))
            }
            _ => self.text.block(index - self.below(), x, adapters),
        }
    }

    fn end(&self, x: Tensor<3>, adapters: &AdapterStack) -> TokenLosses {
        let _ = adapters;
        self.losses(self.norm(x), false)
    }

    fn acts_before(&self, index: usize, adapters: &AdapterStack) -> bool {
        let token = self.net.language().text.embed_tokens.site;
        let within = |from: usize, to: usize| from < to && adapters.acts_within(from..to);
        // Sites were numbered in the order of the chain: patches, encoder, projector, tokens, decoder.
        let up_to = |index: usize| match index {
            0 => token + 1,
            after => self.text.sites(after - 1).end,
        };
        match &self.images {
            None => within(token, up_to(index)),
            Some(images) if images.shared() => {
                index >= self.below() && within(token, up_to(index - self.below()))
            }
            Some(ImagePass { features: Features::Encoder { pass, .. }, .. }) if index < self.below() => {
                match index {
                    0 if pass.blocks() > 0 => within(0, pass.sites(0).start),
                    0 => within(0, self.image_sites.end),
                    after => within(0, pass.sites(after - 1).end),
                }
            }
            Some(_) => within(0, up_to(index - self.below())),
        }
    }
}
