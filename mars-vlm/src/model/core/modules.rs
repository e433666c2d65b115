//! Names of the modules that adapters act on, the same for every family.

/// The vision encoder, patch embedding included.
pub const VISION_ENCODER: &str = "ve";
/// What stands between vision encoder and language model.
pub const PROJECTOR: &str = "projector";
/// The language model: token embeddings and decoder blocks.
pub const LANGUAGE_MODEL: &str = "llm";
