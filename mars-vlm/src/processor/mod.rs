//! From a sample to token ids, answer labels and image tiles, as the model's reference processor does it.

mod config;
mod encode;
mod encoded;
pub(crate) mod files;
mod image;
mod model;
mod prompt;
mod resize;
mod tiles;
mod tokenizer;

pub use config::{ImageConfig, Resampling, TargetSize};
pub use encode::Processor;
pub(crate) use encode::about;
pub use encoded::{Encoded, TokenCount};
pub use image::ImageProcessor;
pub use model::ModelFacts;
pub use prompt::ImagePrompt;
pub use tiles::{Grid, Tiles};
pub use tokenizer::{TextTokenizer, Tokens};
