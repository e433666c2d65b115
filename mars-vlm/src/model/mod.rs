//! Multimodal language models on burn: a shared core, and a folder for each architecture.
mod any;
mod batch;
mod core;
mod examples;
pub mod idefics3;
pub mod llava_onevision;
pub mod qwen2_vl;

pub use any::AnyModel;
pub use batch::{Pieces, Sequence, VlmBatch};
pub use core::activation::Activation;
pub use core::block::Block;
pub use core::encoder::EncoderPass;
pub use core::flops::{LayerSizes, ModelSizes, VisionLoad};
pub use core::language::LanguageModel;
pub use core::memory::{PassKind, Work};
pub use core::siglip::{SiglipConfig, SiglipModel};
pub use core::text::TextModel;
pub use core::text_config::TextConfig;
pub use core::vlm::{Network, Vlm};
pub use examples::EncodedExamples;
pub use idefics3::{Connector, Idefics3, Idefics3Config, Idefics3Net};
pub use llava_onevision::LlavaOnevision;
pub use qwen2_vl::Qwen2Vl;
