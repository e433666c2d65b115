//! Opening everything that a place holds, as the commands do.

use super::case::{Base, Place};
use burn::tensor::Device;
use mars::Error;
use mars_lora::merge::{Checkpoint, inspect};
use mars_lora::peft;
use mars_vlm::chat::SpecialTokens;
use mars_vlm::checkpoint::names_of_dir;
use mars_vlm::data::{Dataset, ImageStore};
use mars_vlm::model::{AnyModel, EncodedExamples};
use mars_vlm::processor::{Processor, images_of_dir};
use std::sync::Arc;

/// The processor, the data and the model; an adapter where there is one.
pub(super) fn everything(place: &Place) -> Result<(), Error> {
    let model = place.path("model");
    let device = Device::flex();
    match place.base {
        Base::Whole => {
            let processor = Arc::new(Processor::from_dir(&model)?);
            let data = place.path("data/train.json");
            let store = Arc::new(ImageStore::for_data(&data, None)?);
            EncodedExamples::new(processor, store, Dataset::read(&data)?.samples)?;
            AnyModel::from_dir(&model, &device)?;
        }
        Base::Sharded => {
            AnyModel::from_dir(&model, &device)?;
            Checkpoint::open(&model)?;
        }
        Base::Llava => {
            images_of_dir(&model, &SpecialTokens::default())?;
            let net = AnyModel::from_dir(&model, &device)?;
            let (adapter, names) = (place.path("adapter"), names_of_dir(&model)?);
            inspect(&adapter, &model, &names)?;
            let modules = Checkpoint::open(&model)?.modules(&names);
            peft::read(&adapter, &peft::Base::of(&net).with_namings(&names.namings).with_others(&modules))?;
        }
        Base::Llava15
        | Base::LlavaNext
        | Base::Qwen2
        | Base::Qwen25
        | Base::Qwen3
        | Base::InternVl
        | Base::Gemma3 => {
            images_of_dir(&model, &SpecialTokens::default())?;
            AnyModel::from_dir(&model, &device)?;
        }
    }
    Ok(())
}
