//! The modules of Idefics3 and SmolVLM; every version of `transformers` names them alike.

use crate::checkpoint::model_names;
use crate::model::core::modules::{LANGUAGE_MODEL, PROJECTOR, VISION_ENCODER};
use mars_lora::merge::ModelNames;

/// [`Network::names`](crate::model::Network::names).
pub(super) fn names() -> ModelNames {
    let modules = [
        (VISION_ENCODER, r"vision_model\..*"),
        (PROJECTOR, r"connector\..*"),
        (LANGUAGE_MODEL, r"text_model\..*"),
    ];
    model_names(&modules, Vec::new())
}
