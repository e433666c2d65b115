//! The modules of Gemma 3, whose parts are called as those of LLaVA-OneVision, in all versions of `transformers`.
//!
//! The projector is a norm and a matrix that is a plain parameter (`mm_input_projection_weight`), which PEFT does not find as a
//! module: the module `projector` has no site. PEFT 0.18 can wrap the parameter (`target_parameters`), but then with
//! the factors the other way round (A as wide as what the matrix gives), under the path of the whole projector, and for one
//! adapter only; an adapter of that kind is refused with the remedy to merge it with PEFT.

use crate::model::llava;
use mars_lora::merge::ModelNames;

/// [`Network::names`](crate::model::Network::names).
pub(super) fn names() -> ModelNames {
    ModelNames { tied_by_default: true, ..llava::names() }
}
