//! The families of models whose images can be processed: one line for each.

use super::family::{Family, ImageProcessor};
use super::{files, gemma3, idefics3, internvl, llava, llava_onevision, qwen2_vl, qwen3_vl};
use crate::{Error, chat::SpecialTokens};
use serde_json::Value;
use std::path::Path;

/// All families; the first is taken where `config.json` names none.
const FAMILIES: &[&Family] = &[
    &idefics3::FAMILY,
    &llava::FAMILY,
    &llava_onevision::FAMILY,
    &qwen2_vl::FAMILY,
    &qwen3_vl::FAMILY,
    &internvl::FAMILY,
    &gemma3::FAMILY,
];

/// `model_type`s of layouts that only the code of their authors reads, and where the same weights are in one that is read.
const OTHER_LAYOUTS: [(&str, &str); 1] = [(
    "internvl_chat",
    "this is the layout of the remote code of InternVL; take the same model as converted for transformers, whose name ends in \
     -hf or -HF (OpenGVLab/InternVL3-1B-hf for OpenGVLab/InternVL3-1B) and whose model_type is `internvl`",
)];

/// All families that can be read, oldest first.
pub fn families() -> &'static [&'static Family] {
    FAMILIES
}

/// The image processor of the model in `dir`, by the `model_type` of its `config.json`.
///
/// # Errors
/// [`Error::Config`] for a family that is not supported, and those of the family's own files.
pub fn open(dir: &Path, special: &SpecialTokens) -> Result<Box<dyn ImageProcessor>, Error> {
    let path = dir.join("config.json");
    let config = files::object(&path)?.unwrap_or_default();
    let family = match config.get("model_type").and_then(Value::as_str) {
        None => Ok(&FAMILIES[0]),
        Some(name) => FAMILIES
            .iter()
            .find(|family| family.model_types.contains(&name))
            .ok_or_else(|| unsupported(&path, name)),
    };
    (family?.open)(dir, special)
}

/// The refusal of a model of another family: the supported one that is most like it, all others, and where its own
/// would have to be written.
pub(crate) fn unsupported(config: &Path, model_type: &str) -> Error {
    let what = format!("model_type is `{model_type}`");
    if let Some((_, remedy)) = OTHER_LAYOUTS.into_iter().find(|(other, _)| *other == model_type) {
        return Error::config(config, what, remedy);
    }
    let decoder = model_type.strip_suffix("_text").and_then(titled);
    if let Some((known, title)) = decoder {
        let remedy =
            format!("it is the decoder of {title} alone; take a {title} with its vision encoder (`{known}`)");
        return Error::config(config, what, format!("{remedy}; {}", supported()));
    }
    let kind = if model_type.contains("_moe") { "with dense layers " } else { "" };
    let near = nearest(model_type).map_or_else(String::new, |(known, title)| {
        format!("the nearest model that is supported is {title} {kind}(`{known}`); ")
    });
    // The name may be any text.
    let plain = model_type.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let folder = if plain && (1..=40).contains(&model_type.len()) { model_type } else { "FAMILY" };
    let place = format!(
        "a family of its own would be mars-vlm/src/processor/{folder} and mars-vlm/src/model/{folder} (CONTRIBUTING.md, \
         \"A model family\")"
    );
    Error::config(config, what, format!("{near}{}; {place}", supported()))
}

/// The `model_type` and title of the model of this `model_type`.
fn titled(name: &str) -> Option<(&'static str, &'static str)> {
    let mut all = FAMILIES.iter().flat_map(|family| family.model_types.iter().zip(family.titles));
    all.find(|(known, _)| **known == name).map(|(known, title)| (*known, *title))
}

/// The `model_type` and title of the model that is most like `name`: one whose family says so, or the one whose
/// `model_type` begins like it for four letters or more; of several the longest beginning, then the newest.
fn nearest(name: &str) -> Option<(&'static str, &'static str)> {
    let common = |known: &str| known.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
    let models = || FAMILIES.iter().flat_map(|family| family.model_types.iter().zip(family.titles));
    let near = FAMILIES.iter().flat_map(|family| family.near);
    let said = near.filter(|(start, _)| name.starts_with(start)).max_by_key(|(start, _)| start.len());
    if let Some((_, known)) = said {
        return models().find(|(own, _)| *own == known).map(|(known, title)| (*known, *title));
    }
    let alike = models().map(|(known, title)| (common(known), *known, *title));
    let alike = alike.filter(|(common, ..)| *common >= 4).max_by_key(|(common, ..)| *common);
    alike.map(|(_, known, title)| (known, title))
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
        let all = supported();
        for family in FAMILIES {
            assert_eq!(family.model_types.len(), family.titles.len());
            assert!(family.titles.iter().all(|title| all.contains(title)), "{all}");
            assert!(!family.published.is_empty() && !family.parity.transformers.is_empty());
            let date: Vec<&str> = family.parity.date.split('-').collect();
            assert_eq!(date.iter().map(|part| part.len()).collect::<Vec<_>>(), [4, 2, 2], "{date:?}");
            for (start, known) in family.near {
                assert!(family.model_types.contains(known), "{start} is near {known}");
                assert!(
                    types.iter().all(|own| !own.starts_with(start)),
                    "{start} is the beginning of a family"
                );
            }
        }
    }

    #[test]
    fn an_unsupported_model_is_told_the_nearest() {
        for (name, nearest) in [
            ("qwen3_vl_moe", "is Qwen3-VL with dense layers (`qwen3_vl`); Idefics3"),
            ("qwen3_5", "is Qwen3-VL (`qwen3_vl`)"),
            ("qwen2_5_omni", "is Qwen2.5-VL (`qwen2_5_vl`)"),
            ("llava_onevision1_5", "is LLaVA-OneVision (`llava_onevision`)"),
            ("llava_next_video", "is LLaVA-NeXT (`llava_next`)"),
            ("mistral3", "is LLaVA-1.5 (`llava`)"),
            ("idefics2", "is Idefics3 (`idefics3`)"),
            ("mllama", "is Idefics3 (`idefics3`)"),
            ("minicpmv4_6", "is SmolVLM (`smolvlm`)"),
            ("glm4v_moe", "is Qwen2.5-VL with dense layers (`qwen2_5_vl`)"),
            ("gemma3n", "is Gemma 3 (`gemma3`)"),
            ("paligemma", "is Gemma 3 (`gemma3`)"),
            ("internvl_flash", "is InternVL3 (`internvl`)"),
        ] {
            let message = unsupported(Path::new("config.json"), name).to_string();
            assert!(message.contains(nearest), "{message}");
            assert!(message.contains(&format!("`{name}`")), "{message}");
            for part in ["processor", "model"] {
                assert!(message.contains(&format!("mars-vlm/src/{part}/{name}")), "{message}");
            }
        }
        for name in ["florence2", "../x", ""] {
            let message = unsupported(Path::new("config.json"), name).to_string();
            assert!(!message.contains("nearest") && message.contains("Qwen3-VL"), "{message}");
            assert!(name == "florence2" || message.contains("mars-vlm/src/model/FAMILY"), "{message}");
        }
        for (name, part) in [
            (
                "gemma3_text",
                "the decoder of Gemma 3 alone; take a Gemma 3 with its vision encoder (`gemma3`)",
            ),
            ("qwen3_vl_text", "the decoder of Qwen3-VL alone"),
        ] {
            let message = unsupported(Path::new("config.json"), name).to_string();
            assert!(message.contains(part) && !message.contains("nearest"), "{message}");
        }
        let message = unsupported(Path::new("config.json"), "internvl_chat").to_string();
        assert!(message.contains("`internvl_chat`") && message.contains("InternVL3-1B-hf"), "{message}");
    }
}
