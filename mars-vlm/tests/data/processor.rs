//! The processor against transformers' own (`tests/oracle/processor.py`).

use mars_vlm::{
    Error,
    data::{Dataset, ImageStore, ProblemKind, Sample},
    processor::{Encoded, Grid, Processor},
};
use safetensors::SafeTensors;
use serde_json::Value;
use std::{fs, path::PathBuf};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/processor")).join(name)
}

fn samples() -> Vec<Sample> {
    Dataset::read(&fixture("chats.json")).unwrap().samples
}

fn expected() -> Value {
    serde_json::from_slice(&fs::read(fixture("expected.json")).unwrap()).unwrap()
}

fn numbers<T: TryFrom<u64>>(value: &Value) -> Vec<T>
where
    T::Error: std::fmt::Debug,
{
    value.as_array().unwrap().iter().map(|n| T::try_from(n.as_u64().unwrap()).unwrap()).collect()
}

/// Runs `check` on every sample under both settings of image splitting.
fn each(mut check: impl FnMut(&str, &Processor, &Sample, &Encoded, &Value)) {
    let (samples, expected) = (samples(), expected());
    let store = ImageStore::open(&fixture("images")).unwrap();
    for name in ["split", "whole"] {
        let processor = Processor::from_dir(&fixture(name)).unwrap();
        assert_eq!(samples.len(), expected[name].as_object().unwrap().len());
        for sample in &samples {
            let encoded = processor.encode(sample, &store).unwrap();
            check(name, &processor, sample, &encoded, &expected[name][&sample.id]);
        }
    }
}

#[test]
fn rendered_text_and_ids_equal_the_reference() {
    each(|name, processor, sample, encoded, expected| {
        let text = processor.template.render(&sample.turns, false).unwrap();
        assert_eq!(text, expected["text"].as_str().unwrap(), "{name} {}", sample.id);
        assert_eq!(encoded.text.ids, numbers::<u32>(&expected["ids"]), "{name} {}", sample.id);
    });
}

#[test]
fn answers_are_what_follows_the_generation_prompt() {
    each(|name, _, sample, encoded, expected| {
        let mask: Vec<bool> = numbers::<u32>(&expected["answer"]).iter().map(|&n| n == 1).collect();
        assert_eq!(encoded.text.answers, mask, "{name} {}", sample.id);
        assert!(encoded.text.answer_tokens() > 1 && !encoded.text.answers[0]);
    });
}

#[test]
fn an_answer_is_its_text_and_the_end_token_without_the_newline() {
    each(|_, processor, sample, encoded, _| {
        let ids: Vec<u32> = encoded
            .text
            .ids
            .iter()
            .zip(&encoded.text.answers)
            .filter(|(_, a)| **a)
            .map(|(id, _)| *id)
            .collect();
        let wanted: String = sample
            .answers()
            .map(|turn| format!(" {}<end_of_utterance>", turn.texts().collect::<String>()))
            .collect();
        assert_eq!(processor.tokenizer.decode(&ids).unwrap(), wanted);
    });
}

#[test]
fn tiles_equal_the_reference() {
    let bytes = fs::read(fixture("tiles.safetensors")).unwrap();
    let tiles = SafeTensors::deserialize(&bytes).unwrap();
    each(|name, _, sample, encoded, expected| {
        let at = format!("{name} {}", sample.id);
        assert_eq!(encoded.pixels.len(), expected["tiles"].as_u64().unwrap() as usize, "{at}");
        if sample.images.is_empty() {
            assert!(encoded.pixels.values.is_empty() && encoded.text.image_tokens == 0);
            return;
        }
        let grids: Vec<Grid> = numbers::<usize>(&expected["rows"])
            .into_iter()
            .zip(numbers(&expected["cols"]))
            .map(|(rows, cols)| Grid { rows, cols })
            .collect();
        assert_eq!(encoded.pixels.images.iter().map(|i| i.shape.grid).collect::<Vec<_>>(), grids, "{at}");
        let reference = tiles.tensor(&format!("{name}.{}", sample.id)).unwrap();
        assert_eq!(encoded.pixels.shape(), reference.shape(), "{at}");
        let largest = encoded
            .pixels
            .values
            .iter()
            .zip(reference.data())
            .map(|(value, byte)| ((value * 0.5 + 0.5) * 255.0 - f32::from(*byte)).abs())
            .fold(0.0, |most: f32, gap| if gap.is_nan() { f32::INFINITY } else { most.max(gap) });
        // Decoding and resizing are exact.
        let allowed = 0.01_f32;
        assert!(largest <= allowed, "{at}: {largest} of 255");
        let mean = encoded.pixels.values.iter().sum::<f32>() / encoded.pixels.values.len() as f32;
        assert!(
            (f64::from(mean) - expected["mean"].as_f64().unwrap()).abs() < allowed as f64 / 100.0,
            "{at}"
        );
        if let Ok(values) = tiles.tensor(&format!("{name}.{}.values", sample.id)) {
            let same = values.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            assert!(same.eq(encoded.pixels.values.iter().copied()), "{at}: normalised values differ");
        }
    });
}

#[test]
fn lengths_are_known_without_pixels() {
    let store = ImageStore::open(&fixture("images")).unwrap();
    each(|_, processor, sample, encoded, _| {
        let count = processor.token_count(sample, &store).unwrap();
        assert_eq!(count.total, encoded.text.ids.len());
        assert_eq!(count.image, encoded.text.image_tokens);
        assert_eq!(count.image, encoded.pixels.tokens());
        assert_eq!(count.answer, encoded.text.answer_tokens());
    });
}

#[test]
fn too_long_is_an_error_that_names_the_sample() {
    let store = ImageStore::open(&fixture("images")).unwrap();
    let processor = Processor::from_dir(&fixture("split")).unwrap().with_max_len(40);
    let sample = samples().into_iter().find(|sample| sample.id == "two_images").unwrap();
    let Error::Data(problem) = processor.encode(&sample, &store).unwrap_err() else { panic!() };
    assert_eq!((problem.kind, problem.id.as_str()), (ProblemKind::TooLong, "two_images"));
    assert!(problem.to_string().contains("chats.json line") && problem.expected.contains("40"));
    assert!(processor.token_count(&sample, &store).is_err());
}

#[test]
fn a_literal_image_token_in_the_text_is_refused() {
    let store = ImageStore::open(&fixture("images")).unwrap();
    let processor = Processor::from_dir(&fixture("split")).unwrap();
    let mut sample = samples().into_iter().find(|sample| sample.id == "square").unwrap();
    sample.turns[1] = mars_vlm::data::Turn::text(mars_vlm::data::Role::Assistant, "write <image> here");
    let Error::Data(problem) = processor.encode(&sample, &store).unwrap_err() else { panic!() };
    assert_eq!(problem.kind, ProblemKind::Placeholders);
}

/// A copy of the fixture model directory with one file changed.
fn broken(file: &str, change: impl FnOnce(&mut Value)) -> Error {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture("split")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let path = dir.path().join(file);
    let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    if value.is_null() {
        fs::remove_file(&path).unwrap();
    } else {
        fs::write(&path, value.to_string()).unwrap();
    }
    Processor::from_dir(dir.path()).unwrap_err()
}

#[test]
fn contradictory_model_directories_are_refused_with_both_values() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &[&str]); 10] = [
        ("config.json", |v| v["image_token_id"] = 3.into(), &["tokenizer.json", "image_token_id 3"]),
        ("config.json", |v| v["text_config"]["vocab_size"] = 10.into(), &["tokenizer.json", "only 10"]),
        ("config.json", |v| v["scale_factor"] = 1.into(), &["image_seq_len is 4", "16 features"]),
        // The default of the model.
        ("config.json", |v| v["vision_config"] = Value::Null, &["a tile of 16 pixels", "patch_size 32"]),
        ("preprocessor_config.json", |v| *v = Value::Null, &["preprocessor_config.json", "copy"]),
        ("preprocessor_config.json", |v| v["resample"] = 0.into(), &["resample 0"]),
        ("preprocessor_config.json", |v| v["size"] = Value::Null, &["longest_edge"]),
        (
            "preprocessor_config.json",
            |v| v["image_processor_type"] = "CLIPImageProcessor".into(),
            &["CLIPImageProcessor", "Idefics3ImageProcessor"],
        ),
        ("preprocessor_config.json", |v| v["image_std"] = 0.into(), &["image_std"]),
        ("tokenizer.json", |v| *v = Value::Null, &["tokenizer.json", "no such file"]),
    ];
    for (file, change, words) in cases {
        let message = broken(file, change).to_string();
        for word in words {
            assert!(message.contains(word), "{file}: {message:?} lacks {word:?}");
        }
    }
    let broken = broken("tokenizer.json", |v| *v = "cut".into()).to_string();
    assert!(broken.contains("tokenizer.json"), "{broken}");
}

#[test]
fn settings_nested_in_the_processor_file_are_read() {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture("split")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let old = Processor::from_dir(dir.path()).unwrap();
    let path = dir.path().join("preprocessor_config.json");
    let settings: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    fs::remove_file(&path).unwrap();
    let merged = serde_json::json!({"image_seq_len": 4, "image_processor": settings});
    fs::write(dir.path().join("processor_config.json"), merged.to_string()).unwrap();
    let new = Processor::from_dir(dir.path()).unwrap();
    assert_eq!(format!("{:?}", new.images), format!("{:?}", old.images));
}
