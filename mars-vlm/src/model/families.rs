//! The families of models that can be loaded: one line for each.

use super::core::network::Network;
use super::core::vlm::Vlm;
use super::gemma3::Gemma3Net;
use super::idefics3::Idefics3Net;
use super::internvl::InternVlNet;
use super::llava::LlavaNet;
use super::llava_onevision::LlavaOnevisionNet;
use super::qwen2_vl::Qwen2VlNet;
use super::qwen3_vl::Qwen3VlNet;
use super::vision_language::VisionLanguage;
use crate::Error;
use crate::checkpoint::Storage;
use burn::tensor::Device;
use mars_lora::merge::ModelNames;
use std::path::Path;

/// All families.
const FAMILIES: &[Family] = &[
    Family::of::<Idefics3Net>(),
    Family::of::<LlavaNet>(),
    Family::of::<LlavaOnevisionNet>(),
    Family::of::<Qwen2VlNet>(),
    Family::of::<Qwen3VlNet>(),
    Family::of::<InternVlNet>(),
    Family::of::<Gemma3Net>(),
];

type Load = fn(&Path, Storage, &Device) -> Result<Box<dyn VisionLanguage>, Error>;

/// A family without its type.
pub(crate) struct Family {
    model_types: &'static [&'static str],
    /// Loads the checkpoint in a directory.
    pub(crate) load: Load,
    /// [`Network::names`].
    pub(crate) names: fn() -> ModelNames,
}

impl Family {
    const fn of<N: Network + 'static>() -> Self {
        Self {
            model_types: N::MODEL_TYPES,
            load: |dir, storage, device| Ok(Box::new(Vlm::<N>::load(dir, storage, device)?)),
            names: N::names,
        }
    }
}

/// The family that `config.json` calls `model_type`, if there is one.
pub(crate) fn find(model_type: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|family| family.model_types.contains(&model_type))
}
