//! What a family of models implements: its parameters, and its vision encoder block by block.

use super::language::LanguageModel;
use super::sizes::{ModelSizes, VisionLoad};
use crate::Error;
use crate::checkpoint::{Aliases, Loader};
use crate::model::batch::VisionInput;
use crate::processor::ImageShape;
use burn::module::Module;
use burn::tensor::Tensor;
use mars_lora::{AdapterStack, merge::ModelNames};
use std::fmt;
use std::ops::Range;
use std::path::Path;

/// The parameters of a family of models: what a new one implements, in a folder of its own, beside its image processor.
/// [`Vlm`](crate::model::Vlm) makes a model of it.
pub trait Network: Module + Sync {
    /// Its sizes, from `config.json`.
    type Config: fmt::Debug + Clone + Send + Sync;

    /// Beginnings of tensor names in other versions of its checkpoints.
    const ALIASES: Aliases = &[];

    /// Parts of the names of tensors that its checkpoints hold and its models do not use.
    const SPARE: &'static [&'static str] = &[];

    /// The `model_type`s of its models in `config.json`.
    const MODEL_TYPES: &'static [&'static str];

    /// Its modules, each with the pattern of its paths, and what other versions of `transformers` call them.
    fn names() -> ModelNames;

    /// Reads and checks `config.json` in `dir`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`], and [`Error::Config`] for a model that is not of this family
    /// or whose sizes contradict each other.
    fn config(dir: &Path) -> Result<Self::Config, Error>;

    /// Loads everything, the language model last.
    ///
    /// # Errors
    /// Those of the loader.
    fn load(config: &Self::Config, loader: &mut Loader<'_>) -> Result<Self, Error>;

    /// The decoder with its output layer.
    fn language(&self) -> &LanguageModel;

    /// The vision encoder's pass over the tiles of `input`; it gives their features in order.
    fn encoder<'a>(&'a self, config: &'a Self::Config, input: &VisionInput<'_>) -> Box<dyn EncoderPass + 'a>;

    /// The embedding `[1, width]` that ends the rows of a picture, if the architecture has one.
    fn newline(&self) -> Option<Tensor<2>> {
        None
    }

    /// Sizes for estimates; `parameters` is filled in later.
    fn sizes(config: &Self::Config) -> ModelSizes;

    /// What the vision encoder does for `images`.
    fn vision_load(config: &Self::Config, images: &[ImageShape]) -> VisionLoad;
}

/// One pass of a vision encoder over some tiles of images; whatever the blocks share was made when it began.
pub trait EncoderPass {
    /// What the first block takes, `[tiles, patches, width]` with all tiles of all adapters along one of the first two
    /// dimensions.
    fn embed(&self, adapters: &AdapterStack) -> Tensor<3>;

    /// Number of blocks that run.
    fn blocks(&self) -> usize;

    /// What block `index` makes of `x`, of the same shape unless the family keeps earlier states beside it.
    fn block(&self, index: usize, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<3>;

    /// Features of the decoder's width, `[features, width]`, from what the last block gives; beside them, `[features, (1
    /// + n) * width]`, those that are added to the hidden states after each of the first n blocks of the decoder.
    fn project(&self, x: Tensor<3>, adapters: &AdapterStack) -> Tensor<2>;

    /// Sites of the layers of block `index`.
    fn sites(&self, index: usize) -> Range<usize>;
}
