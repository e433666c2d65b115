//! InternVL3 beyond what `architectures.rs` compares: what published files say besides.

use crate::kit::{Samples, fixture};
use burn::tensor::Device;
use mars_lora::{AdapterStack, Model, SiteKind};
use mars_vlm::checkpoint::names_of_dir;
use mars_vlm::model::{AnyModel, VISION_ENCODER};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A copy of a checkpoint whose `config.json` is changed.
fn changed(case: &str, change: impl Fn(&mut Value)) -> tempfile::TempDir {
    let place = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture(case)).unwrap().map(|entry| entry.unwrap()) {
        if entry.path().is_file() {
            fs::copy(entry.path(), place.path().join(entry.file_name())).unwrap();
        }
    }
    let path = place.path().join("config.json");
    let mut config: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    fs::write(path, config.to_string()).unwrap();
    place
}

fn logits(dir: &Path, case: &str) -> Vec<f32> {
    let model = AnyModel::from_dir(dir, &Device::flex()).unwrap();
    let batch = Samples::read(&fixture(case)).batch(1);
    model.logits(&batch, &AdapterStack::base(1, &model)).into_data().iter::<f32>().collect()
}

#[test]
fn sides_are_numbers_or_pairs() {
    let case = "internvl/qwen2_tied";
    let place = changed(case, |config| {
        config["vision_config"]["image_size"] = 8.into();
        config["vision_config"]["patch_size"] = json!([2, 2]);
    });
    assert_eq!(logits(place.path(), case), logits(&fixture(case), case));
}

#[test]
fn dynamic_positions_are_plain_within_what_the_model_was_trained_on() {
    let case = "internvl/qwen2_tied";
    let place = changed(case, |config| config["text_config"]["rope_scaling"] = Value::Null);
    assert_eq!(logits(place.path(), case), logits(&fixture(case), case));
}

#[test]
fn kinds_of_layers_that_are_written_count_before_their_number() {
    let case = "internvl/qwen2_tied";
    let open = |kinds: &[&str], from: usize| {
        let place = changed(case, |config| {
            let text = &mut config["text_config"];
            text["use_sliding_window"] = true.into();
            text["sliding_window"] = 4.into();
            text["max_window_layers"] = from.into();
            text["layer_types"] = json!(kinds);
        });
        AnyModel::from_dir(place.path(), &Device::flex()).map(|_| ())
    };
    let (full, local) = ("full_attention", "sliding_attention");
    let why = open(&[full, local], 100).unwrap_err().to_string();
    assert!(why.contains("sliding-window attention"), "{why}");
    open(&[full, full], 0).unwrap();
}

#[test]
fn every_linear_layer_and_the_patch_embedding_can_be_adapted() {
    let model = AnyModel::from_dir(&fixture("internvl/qwen3_untied"), &Device::flex()).unwrap();
    let count = |module: &str, linear: bool| {
        let own = model.sites().iter().filter(|site| site.module == module);
        own.filter(|site| (site.kind == SiteKind::Linear) == linear).count()
    };
    // Three blocks of six layers, two layers, and two blocks of seven.
    let found =
        [VISION_ENCODER, "projector", "llm"].map(|module| (count(module, true), count(module, false)));
    assert_eq!(found, [(18, 1), (2, 0), (14, 1)]);
    let names = names_of_dir(&fixture("internvl/qwen3_untied")).unwrap();
    assert_eq!(names.modules.len(), 3);
}
