//! Images of Qwen3-VL: patches as of Qwen2-VL, in another size, resized as by torchvision.
//!
//! Published models name the fast image processor (`Qwen2VLImageProcessorFast`), so that is what is followed, whichever
//! of the two a file names: the slow one differs from it by one unit of 255 in some pixels. Time stamps stand before
//! frames of videos only, and videos are not read.

use super::family::{Family, Parity};
use super::qwen2_vl::{PatchDefaults, Qwen2VlImages};
use super::resize::Resizer;
use crate::{Error, chat::SpecialTokens};
use std::path::Path;

/// How the family is registered.
pub(super) const FAMILY: Family = Family {
    titles: &["Qwen3-VL"],
    model_types: &["qwen3_vl"],
    published: "Qwen3-VL with dense layers, 2B to 32B",
    parity: Parity { transformers: &["4.57.3", "5.24.0"], resizer: Resizer::Torchvision, date: "2026-11-27" },
    near: &[],
    open: |dir, special| Ok(Box::new(from_dir(dir, special)?)),
};

/// Of `Qwen3VLVisionConfig` (transformers 4.57).
pub(crate) const ENCODER: PatchDefaults = PatchDefaults { patch: 16, frames: 2, merge: 2 };

/// Reads `preprocessor_config.json` in `dir`, with the defaults of [`Qwen2VlImages::from_dir`].
///
/// # Errors
/// Those of [`Qwen2VlImages::from_dir`], and [`Error::Config`] for another filter than the bicubic one, of which alone
/// torchvision gives the same on every machine.
pub fn from_dir(dir: &Path, special: &SpecialTokens) -> Result<Qwen2VlImages, Error> {
    Qwen2VlImages::read(dir, special, Resizer::Torchvision, FAMILY.titles, ENCODER)
}
