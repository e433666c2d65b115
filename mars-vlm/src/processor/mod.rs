//! From a sample to token ids, answer labels and image tiles, as the model's reference processor does it.
//!
//! [`Processor::encode`] renders the chat template, replaces image placeholders by the family's image tokens,
//! tokenises, labels the answers and cuts the images into tiles. What differs between families is in
//! [`ImageProcessor`]; a family is a folder here and a line in `families.rs`.
//!
//! The reference is transformers 4.57.3 with Pillow (slow image processors), for Qwen3-VL and InternVL3 with torchvision (the
//! fast ones): resizes agree with it bit for bit, normalised values up to the rounding of f32. Normalisation is
//! `(v * rescale - mean_c) / std_c` for an intensity
//! v in 0 to 255 of channel c. Nothing is truncated: a sample that is too long is an error.

mod anyres;
mod defects;
mod encode;
mod encoded;
mod families;
mod family;
pub(crate) mod files;
pub(crate) mod folder;
pub mod gemma3;
pub mod idefics3;
pub mod internvl;
pub mod llava;
pub mod llava_onevision;
mod model_facts;
mod pixels;
mod placeholders;
pub mod qwen2_vl;
pub mod qwen3_vl;
mod resize;
mod resolution;
mod settings;
mod tokenizer;
pub(crate) mod tokenizer_class;
mod tokenizer_config;
mod tokenizer_limits;

pub use anyres::Anyres;
pub use encode::Processor;
pub use encoded::{Encoded, EncodedText, TokenCount};
pub use families::{families, open as images_of_dir};
#[cfg(feature = "model")]
pub(crate) use families::{supported, unsupported};
pub use family::{Family, ImageProcessor, Parity};
pub use model_facts::ModelFacts;
pub use pixels::{Digest, Feature, Grid, ImageLayout, ImageShape, Pixels};
pub use resize::Resizer;
pub use resolution::Resolution;
#[cfg(feature = "model")]
pub(crate) use settings::FEW;
pub use settings::{Intensity, Resampling};
pub use tokenizer::{TextTokenizer, Tokens};
