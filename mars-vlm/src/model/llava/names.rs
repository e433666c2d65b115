//! The modules of LLaVA and LLaVA-NeXT (and of LLaVA-OneVision and Gemma 3, which are built alike), and what other
//! versions of `transformers` call them.

use crate::checkpoint::{Aliases, NEW, OLD, model_names};
use crate::model::core::modules::{LANGUAGE_MODEL, PROJECTOR, VISION_ENCODER};
use mars_lora::{merge::ModelNames, peft::Naming};

/// Beginnings of tensor names in other versions of checkpoints.
pub(crate) const ALIASES: Aliases = &[
    ("model.language_model.", &["language_model.model.", "language_model."]),
    (
        "model.vision_tower.vision_model.",
        &["vision_tower.vision_model.", "model.vision_tower.", "vision_tower."],
    ),
    ("model.multi_modal_projector.", &["multi_modal_projector."]),
    ("model.image_newline", &["image_newline"]),
    ("lm_head.", &["language_model.lm_head."]),
];

/// What checkpoints hold beside the model: features are taken before the last norm of the encoder.
pub(crate) const SPARE: &[&str] = &[".post_layernorm.", "vision_model.head.", "vision_tower.head."];

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
