//! Multimodal language models on burn.
mod attention;
mod batch;
mod config;
mod connector;
mod examples;
mod flops;
mod idefics3;
mod rope;
mod text;
mod vision;

pub use batch::{Sequence, VlmBatch};
pub use config::{Idefics3Config, TextConfig, VisionConfig};
pub use connector::Connector;
pub use examples::EncodedExamples;
pub use idefics3::{Idefics3, Idefics3Net};
pub use text::{TextBlock, TextModel};
pub use vision::{VisionBlock, VisionModel};
