//! The modules of Qwen2-VL and Qwen2.5-VL, and what older versions of `transformers` call them.

use crate::checkpoint::{OLD, model_names};
use crate::model::core::modules::{LANGUAGE_MODEL, PROJECTOR, VISION_ENCODER};
use mars_lora::{merge::ModelNames, peft::Naming};

/// [`Network::names`](crate::model::Network::names).
pub(super) fn names() -> ModelNames {
    let modules = [
        (VISION_ENCODER, r"visual\.blocks\..*"),
        (PROJECTOR, r"visual\.merger\..*"),
        (LANGUAGE_MODEL, r"language_model\..*"),
    ];
    let old = [("model.visual.", "visual."), ("model.language_model.", "model.")];
    model_names(&modules, vec![Naming::new(OLD, &old, false)])
}
