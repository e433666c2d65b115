//! From a sample to token ids, answer labels and image pieces, as the model's reference processor does it.

mod encode;
mod encoded;
mod facts;
mod family;
pub(crate) mod files;
pub mod idefics3;
pub mod llava_onevision;
mod pixels;
mod places;
pub mod qwen2_vl;
mod resize;
mod settings;
mod tokenizer;

pub use encode::Processor;
pub use encoded::{Encoded, EncodedText, TokenCount};
pub use facts::ModelFacts;
pub use family::ImageProcessor;
pub use pixels::{Feature, Grid, ImageLayout, ImageShape, Pixels};
pub use settings::{Intensity, Resampling};
pub use tokenizer::{TextTokenizer, Tokens};
