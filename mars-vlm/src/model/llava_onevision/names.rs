//! The modules of LLaVA-OneVision (and of LLaVA, LLaVA-NeXT and Gemma 3, whose parts have the same names), and what other
//! versions of `transformers` call them.

use crate::checkpoint::{NEW, OLD, model_names};
use crate::model::core::modules::{LANGUAGE_MODEL, PROJECTOR, VISION_ENCODER};
use mars_lora::{merge::ModelNames, peft::Naming};

/// [`Network::names`](crate::model::Network::names).
pub(crate) fn names() -> ModelNames {
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
    let new = [("model.vision_tower.vision_model.", "model.vision_tower.")];
    model_names(&modules, vec![Naming::new(OLD, &old, false), Naming::new(NEW, &new, true)])
}
