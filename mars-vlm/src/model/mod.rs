//! Multimodal language models on burn: a shared core, and a folder for each family.
//!
//! A pass over a [`VlmBatch`] of K adapters with B samples of S positions each: the vision encoder makes features of
//! the tiles, the projector brings them to the width of the language model, they replace the embeddings of the image
//! tokens, and the decoder gives the losses of the answer tokens, adapter by adapter. Without an adapter on the
//! vision encoder or projector, each distinct image is encoded once for all adapters. [`AnyModel`] is the family that
//! `config.json` names.
mod any;
mod batch;
pub(crate) mod core;
mod examples;
pub(crate) mod families;
pub mod gemma3;
pub mod idefics3;
pub mod internvl;
pub mod llava;
pub mod llava_onevision;
pub mod qwen2_vl;
pub mod qwen3_vl;
mod vision_language;

pub use any::AnyModel;
pub use batch::{Sequence, VisionInput, VlmBatch};
pub use core::activation::Activation;
pub use core::block::Block;
pub use core::clip::ClipModel;
pub use core::feature_layers::FeatureLayers;
pub use core::gemma::GemmaText;
pub use core::language::LanguageModel;
pub use core::line_rope::{LineRope, RopeBands};
pub use core::modules::{LANGUAGE_MODEL, PROJECTOR, VISION_ENCODER};
pub use core::network::{EncoderPass, Network};
pub use core::siglip::{SiglipConfig, SiglipModel};
pub use core::sizes::{LayerSizes, ModelSizes, VisionLoad};
pub use core::text::TextModel;
pub use core::text_config::TextConfig;
pub use core::vlm::Vlm;
pub use core::work::{PassKind, Work};
pub use examples::EncodedExamples;
pub use gemma3::Gemma3;
pub use idefics3::{Connector, Idefics3, Idefics3Config, Idefics3Net};
pub use internvl::InternVl;
pub use llava::Llava;
pub use llava_onevision::LlavaOnevision;
pub use qwen2_vl::Qwen2Vl;
pub use qwen3_vl::Qwen3Vl;
