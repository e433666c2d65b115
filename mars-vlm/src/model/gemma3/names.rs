//! The modules of Gemma 3, whose parts are called as those of LLaVA-OneVision, in all versions of `transformers`.
//!
//! The projector is a norm and a matrix that is a plain parameter (`mm_input_projection_weight`). PEFT finds no layer there by
//! its name, so no adapter acts on it and the module has no site. (PEFT 0.18 can wrap the parameter by
//! `target_parameters`, with the factors the other way round; such adapters are to be merged first.)

use crate::model::llava_onevision;
use mars_lora::merge::ModelNames;

/// [`Network::names`](crate::model::Network::names).
pub(super) fn names() -> ModelNames {
    ModelNames { tied_by_default: true, ..llava_onevision::names() }
}
