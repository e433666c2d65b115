//! The modules of InternVL3, and what they are called in the files of checkpoints; all versions of `transformers` that have
//! it give its layers the same names.

use crate::checkpoint::{OLD, model_names};
use crate::model::core::modules::{LANGUAGE_MODEL, PROJECTOR, VISION_ENCODER};
use mars_lora::{merge::ModelNames, peft::Naming};

/// [`Network::names`](crate::model::Network::names).
pub(super) fn names() -> ModelNames {
    let modules = [
        (VISION_ENCODER, r"vision_tower\..*"),
        (PROJECTOR, r"multi_modal_projector\..*"),
        (LANGUAGE_MODEL, r"language_model\..*"),
    ];
    let old = [
        ("model.language_model.", "language_model.model."),
        ("model.vision_tower.", "vision_tower."),
        ("model.multi_modal_projector.", "multi_modal_projector."),
        ("lm_head", "language_model.lm_head"),
    ];
    model_names(&modules, vec![Naming::new(OLD, &old, false)])
}
