//! The families of models whose images can be processed: one line for each.

use super::family::{Family, ImageProcessor};
use super::{files, idefics3, internvl, llava_onevision, qwen2_vl, qwen3_vl};
use crate::{Error, chat::SpecialTokens};
use serde_json::Value;
use std::path::Path;

/// All families; the first is taken where `config.json` names none.
const FAMILIES: [&Family; 5] =
    [&idefics3::FAMILY, &llava_onevision::FAMILY, &qwen2_vl::FAMILY, &qwen3_vl::FAMILY, &internvl::FAMILY];

/// `model_type`s of layouts that only the code of their authors reads, and where the same weights are in one that is read.
const OTHER_LAYOUTS: [(&str, &str); 1] = [(
    "internvl_chat",
    "this is the layout of the remote code of InternVL; take the same model as converted for transformers, whose name ends in \
     -hf or -HF (OpenGVLab/InternVL3-1B-hf for OpenGVLab/InternVL3-1B) and whose model_type is `internvl`",
)];

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
            .ok_or_else(|| unsupported(&path, name)),
    };
    (family?.open)(dir, special)
}

/// The refusal of a model of another family: the supported one whose name is most like its own, and all others.
pub(crate) fn unsupported(config: &Path, model_type: &str) -> Error {
    let what = format!("model_type is `{model_type}`");
    if let Some((_, remedy)) = OTHER_LAYOUTS.into_iter().find(|(other, _)| *other == model_type) {
        return Error::config(config, what, remedy);
    }
    let Some((known, title)) = nearest(model_type) else { return Error::config(config, what, supported()) };
    let kind = if model_type.contains("_moe") { "with dense layers " } else { "" };
    let nearest = format!("the nearest model that is supported is {title} {kind}(`{known}`)");
    Error::config(config, what, format!("{nearest}; {}", supported()))
}

/// The `model_type` and title of the model whose `model_type` begins most like `name`, with four letters or more.
fn nearest(name: &str) -> Option<(&'static str, &'static str)> {
    let common = |known: &str| known.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
    let all = FAMILIES.into_iter().flat_map(|family| family.model_types.iter().zip(family.titles));
    let near = all.map(|(known, title)| (common(known), *known, *title)).filter(|(common, ..)| *common >= 4);
    // The newest of several.
    near.max_by_key(|(common, ..)| *common).map(|(_, known, title)| (known, title))
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
        let all =
            "Idefics3, SmolVLM, LLaVA-OneVision, Qwen2-VL, Qwen2.5-VL, Qwen3-VL and InternVL3 are supported";
        assert_eq!(supported(), all);
        assert!(FAMILIES.iter().all(|family| family.model_types.len() == family.titles.len()));
    }

    #[test]
    fn an_unsupported_model_is_told_the_nearest() {
        for (name, nearest) in [
            ("qwen3_vl_moe", "is Qwen3-VL with dense layers (`qwen3_vl`); Idefics3"),
            ("qwen3_5", "is Qwen3-VL (`qwen3_vl`)"),
            ("qwen2_5_omni", "is Qwen2.5-VL (`qwen2_5_vl`)"),
            ("llava_next", "is LLaVA-OneVision (`llava_onevision`)"),
            ("idefics2", "is Idefics3 (`idefics3`)"),
            ("internvl_flash", "is InternVL3 (`internvl`)"),
        ] {
            let message = unsupported(Path::new("config.json"), name).to_string();
            assert!(message.contains(name) && message.contains(nearest), "{message}");
        }
        let message = unsupported(Path::new("config.json"), "pixtral").to_string();
        assert!(!message.contains("nearest") && message.contains("InternVL3 are supported"), "{message}");
        let message = unsupported(Path::new("config.json"), "internvl_chat").to_string();
        assert!(message.contains("`internvl_chat`") && message.contains("InternVL3-1B-hf"), "{message}");
    }
}
