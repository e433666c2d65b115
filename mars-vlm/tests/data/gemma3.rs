//! The processor of Gemma 3 against transformers' own, with its slow image processor
//! (`mars-vlm/tests/oracle/gemma3_processor.py`).

use crate::families::{fixture, numbers, samples};
use mars_vlm::{
    chat::SpecialTokens,
    data::ImageStore,
    processor::{ImageProcessor, Processor, Resolution, gemma3::Gemma3Images},
};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::{fs, path::Path};
use tempfile::TempDir;

fn file(name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixture("gemma3_processor").join(name)).unwrap()).unwrap()
}

/// A copy of the model's directory with other settings of images.
fn model(settings: &Value) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture("gemma3_processor/model")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    change(dir.path(), "preprocessor_config.json", settings);
    dir
}

fn change(dir: &Path, name: &str, settings: &Value) {
    let path = dir.join(name);
    let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    value.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
    fs::write(path, value.to_string()).unwrap();
}

fn largest(values: impl Iterator<Item = f32>) -> f32 {
    values.map(|v| if v.is_nan() { f32::INFINITY } else { v.abs() }).fold(0.0, f32::max)
}

fn check(case: &str, settings: &Value, tiles: usize) {
    let expected = &file("expected.json")[case];
    let bytes = fs::read(fixture("gemma3_processor/pieces.safetensors")).unwrap();
    let pieces = SafeTensors::deserialize(&bytes).unwrap();
    let store = ImageStore::open(&fixture("processor/images")).unwrap();
    let dir = model(settings);
    let processor = Processor::from_dir(dir.path()).unwrap();
    let samples = samples();
    let expected = expected.as_object().unwrap();
    assert_eq!(expected.len(), 8);
    let mut seen = 0;
    for (key, expected) in expected {
        let sample = &samples[key];
        let encoded = processor.encode(sample, &store).unwrap();
        let text = &encoded.text;
        let rendered = processor.template.render(&sample.turns, false).unwrap();
        assert_eq!(rendered, expected["text"].as_str().unwrap(), "{case} {key}");
        assert_eq!(text.ids, numbers(&expected["ids"]), "{case} {key}");
        let mask: Vec<bool> = numbers(&expected["answer"]).iter().map(|mark| *mark == 1).collect();
        assert_eq!(text.answers, mask, "{case} {key}");
        assert!(text.positions.is_none());
        let count = processor.token_count(sample, &store).unwrap();
        assert_eq!((count.total, count.image), (text.ids.len(), encoded.pixels.tokens()), "{case} {key}");
        let Ok(reference) = pieces.tensor(&format!("{case}.{key}")) else {
            assert!(encoded.pixels.is_empty(), "{case} {key}");
            continue;
        };
        // As 8-bit values: decoding and resizing are exact.
        assert_eq!(encoded.pixels.shape(), reference.shape(), "{case} {key}");
        seen += encoded.pixels.len();
        let found = &encoded.pixels.values;
        let gaps =
            found.iter().zip(reference.data()).map(|(v, byte)| (v * 0.5 + 0.5) * 255.0 - f32::from(*byte));
        let worst = largest(gaps);
        assert!(worst <= 0.01, "{case} {key}: {worst} of 255");
        if let Ok(values) = pieces.tensor(&format!("{case}.{key}.values")) {
            let values = values.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            let worst = largest(values.zip(found).map(|(a, b)| a - b));
            assert!(worst < 1e-6, "{case} {key}: normalised values differ by {worst}");
        }
    }
    assert_eq!(seen, tiles, "{case}");
}

#[test]
fn gemma3_is_encoded_as_by_the_reference() {
    check("whole", &json!({}), 8);
}

#[test]
fn gemma3_cuts_long_images_as_the_reference_does_when_it_is_told_to() {
    check("crops", &file("settings.json"), 22);
}

#[test]
fn images_are_cut_by_their_proportions_and_the_shortest_side_of_a_crop() {
    let rows = file("crops.json");
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 28);
    for row in rows {
        let dir = model(&row["settings"]);
        let images = Gemma3Images::from_dir(dir.path(), &SpecialTokens::default()).unwrap();
        let size = numbers(&row["size"]);
        let layout = images.layouts(&[(size[0] as usize, size[1] as usize)]).unwrap().remove(0);
        let grid = [layout.shape.grid.rows as u32, layout.shape.grid.cols as u32];
        assert_eq!(grid.to_vec(), numbers(&row["grid"]), "{row}");
        assert_eq!(layout.tokens.len() as u32, 4 * (1 + grid[0] * grid[1]), "{row}");
    }
}

#[test]
fn files_that_contradict_each_other_are_refused_with_both_values() {
    let images = |dir: &Path| Gemma3Images::from_dir(dir, &SpecialTokens::default());
    for (name, settings, words) in [
        ("preprocessor_config.json", json!({"size": {"height": 24, "width": 32}}), ["size", "32"]),
        ("preprocessor_config.json", json!({"size": {"shortest_edge": 24}}), ["shortest_edge", "height"]),
        ("preprocessor_config.json", json!({"size": {"height": 28, "width": 28}}), ["size is 28", "24"]),
        ("preprocessor_config.json", json!({"do_resize": false}), ["do_resize", "leave it out"]),
        ("preprocessor_config.json", json!({"do_pan_and_scan": "yes"}), ["do_pan_and_scan", "true or false"]),
        ("processor_config.json", json!({"image_seq_length": 9}), ["image_seq_length is 9", "4"]),
        ("config.json", json!({"mm_tokens_per_image": -4}), ["mm_tokens_per_image is -4", "65536"]),
        (
            "config.json",
            json!({"mm_tokens_per_image": null}),
            ["image_seq_length is 4", "config.json has the default mm_tokens_per_image 256"],
        ),
    ] {
        let dir = model(&json!({}));
        change(dir.path(), name, &settings);
        let message = images(dir.path()).unwrap_err().to_string();
        assert!(words.iter().all(|word| message.contains(word)), "{settings}: {message}");
    }
    let mut sound = images(model(&json!({})).path()).unwrap();
    let error = sound.resize_to(&Resolution { max_pixels: Some(9), ..Resolution::default() }).unwrap_err();
    assert!(error.contains("the size of images of Gemma 3 cannot be set"), "{error}");
}

#[test]
fn an_image_whose_last_crop_would_be_empty_is_refused() {
    let dir = model(&json!({
        "do_pan_and_scan": true, "pan_and_scan_min_crop_size": 1, "pan_and_scan_max_num_crops": 4,
        "pan_and_scan_min_ratio_to_activate": 1.2,
    }));
    let images = Gemma3Images::from_dir(dir.path(), &SpecialTokens::default()).unwrap();
    let error = images.layouts(&[(8, 8), (5, 1)]).unwrap_err();
    assert!(error.contains("5 x 1") && error.contains("do_pan_and_scan"), "{error}");
}
