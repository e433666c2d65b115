//! The modules of Qwen3-VL; all versions of `transformers` that have it give its layers the same names.

use crate::checkpoint::model_names;
use crate::model::core::modules::{LANGUAGE_MODEL, PROJECTOR, VISION_ENCODER};
use mars_lora::merge::ModelNames;

/// [`Network::names`](crate::model::Network::names).
pub(super) fn names() -> ModelNames {
    let modules = [
        (VISION_ENCODER, r"visual\.blocks\..*"),
        (PROJECTOR, r"visual\.(?:merger|deepstack_merger_list)\..*"),
        (LANGUAGE_MODEL, r"language_model\..*"),
    ];
    model_names(&modules, Vec::new())
}
