//! The parts of known families of models, and what their modules are called in other versions and on disk.
//!
//! Measured on tiny random models in transformers 4.57.3 and 5.23.0; names of 4.51 and of the checkpoint files are
//! the same ones (`_checkpoint_conversion_mapping` in the models' sources). Own names are those of 4.57.

use crate::Error;
use crate::processor::files;
use mars_lora::{AdaptedModule, merge::ModelNames, peft::Naming};
use std::path::Path;

const OLD: &str = "transformers 4.51 and older";
const NEW: &str = "transformers 5";

/// The names of the family of the model in `dir`, by `model_type` in its `config.json`.
///
/// A family that is not known here has no parts and no other names.
///
/// # Errors
/// [`Error::Config`], [`Error::Io`] and [`Error::Malformed`] for a missing or unreadable `config.json`.
pub fn names_of_dir(dir: &Path) -> Result<ModelNames, Error> {
    let path = dir.join("config.json");
    let config = files::object(&path)?
        .ok_or_else(|| Error::config(&path, "no such file", "give the directory of a Hugging Face model"))?;
    let kind = config.get("model_type").and_then(serde_json::Value::as_str);
    Ok(names_of_type(kind.unwrap_or("")).unwrap_or_default())
}

/// The names of the family that `config.json` calls `model_type`, if it is known.
pub fn names_of_type(model_type: &str) -> Option<ModelNames> {
    let component = |(name, pattern): (&str, &str)| AdaptedModule {
        name: name.to_string(),
        pattern: pattern.to_string(),
    };
    let of = |components: [(&str, &str); 3], namings: Vec<Naming>| {
        Some(ModelNames { modules: components.map(component).to_vec(), namings })
    };
    match model_type {
        "idefics3" | "smolvlm" => of(
            [("ve", r"vision_model\..*"), ("projector", r"connector\..*"), ("llm", r"text_model\..*")],
            Vec::new(),
        ),
        "llava" | "llava_next" | "llava_onevision" | "gemma3" => of(
            [
                ("ve", r"vision_tower\..*"),
                ("projector", r"multi_modal_projector\..*"),
                ("llm", r"language_model\..*"),
            ],
            vec![
                Naming::new(
                    OLD,
                    &[
                        ("model.language_model.", "language_model.model."),
                        ("model.vision_tower.", "vision_tower."),
                        ("model.multi_modal_projector.", "multi_modal_projector."),
                        ("lm_head", "language_model.lm_head"),
                    ],
                    false,
                ),
                Naming::new(NEW, &[("model.vision_tower.vision_model.", "model.vision_tower.")], true),
            ],
        ),
        "qwen2_vl" | "qwen2_5_vl" => of(
            [
                ("ve", r"visual\.blocks\..*"),
                ("projector", r"visual\.merger\..*"),
                ("llm", r"language_model\..*"),
            ],
            vec![Naming::new(
                OLD,
                &[("model.visual.", "visual."), ("model.language_model.", "model.")],
                false,
            )],
        ),
        "qwen3_vl" => of(
            [
                ("ve", r"visual\.blocks\..*"),
                ("projector", r"visual\.(?:merger|deepstack_merger_list)\..*"),
                ("llm", r"language_model\..*"),
            ],
            Vec::new(),
        ),
        "llama" | "qwen2" | "qwen3" | "mistral" | "gemma2" | "gemma3_text" => {
            Some(ModelNames { modules: vec![component(("llm", r"model\.layers\..*"))], namings: Vec::new() })
        }
        _ => None,
    }
}
