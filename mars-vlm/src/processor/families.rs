//! The families of models whose images can be processed: one line for each.

use super::family::{Family, ImageProcessor};
use super::{files, idefics3, llava_onevision, qwen2_vl};
use crate::{Error, chat::SpecialTokens};
use serde_json::Value;
use std::path::Path;

/// All families; the first is taken where `config.json` names none.
const FAMILIES: [&Family; 3] = [&idefics3::FAMILY, &llava_onevision::FAMILY, &qwen2_vl::FAMILY];

/// The image processor of the model in `dir`, by the `model_type` of its `config.json`.
///
/// # Errors
/// [`Error::Config`] for a family that is not supported, and those of the family's own files.
pub(crate) fn open(dir: &Path, special: &SpecialTokens) -> Result<Box<dyn ImageProcessor>, Error> {
    let path = dir.join("config.json");
    let config = files::object(&path)?.unwrap_or_default();
    let family = match config.get("model_type").and_then(Value::as_str) {
        None => Ok(FAMILIES[0]),
        Some(name) => FAMILIES
            .into_iter()
            .find(|family| family.model_types.contains(&name))
            .ok_or_else(|| Error::config(&path, format!("model_type is `{name}`"), supported())),
    };
    (family?.open)(dir, special)
}

/// The remedy for a model of another family: `A, B and C are supported`.
pub(crate) fn supported() -> String {
    let titles: Vec<&str> = FAMILIES.iter().flat_map(|family| family.titles).copied().collect();
    match titles.split_last() {
        Some((last, [])) => format!("{last} is supported"),
        Some((last, others)) => format!("{} and {last} are supported", others.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_family_is_named_once() {
        let types: Vec<&str> = FAMILIES.iter().flat_map(|family| family.model_types).copied().collect();
        assert!(
            types.iter().all(|name| types.iter().filter(|other| *other == name).count() == 1),
            "{types:?}"
        );
        assert_eq!(supported(), "Idefics3, SmolVLM, LLaVA-OneVision, Qwen2-VL and Qwen2.5-VL are supported");
    }
}
