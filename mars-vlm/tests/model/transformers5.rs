//! Whole folders as transformers 5 writes them are read as they are, and give its losses
//! (`tests/oracle/transformers5.py`).

use crate::kit::fixture;
use burn::tensor::Device;
use mars_lora::{AdapterStack, Model};
use mars_vlm::data::{Dataset, ImageStore};
use mars_vlm::model::{AnyModel, Sequence, VlmBatch};
use mars_vlm::processor::Processor;
use serde_json::Value;
use std::sync::Arc;

/// Samples of one checkpoint: tokens, what is to be generated, and losses.
fn check(case: &str) {
    let dir = fixture("transformers5").join(case);
    let json =
        |name: &str| -> Value { serde_json::from_slice(&std::fs::read(dir.join(name)).unwrap()).unwrap() };
    let config = json("config.json");
    assert!(config["dtype"] == "float32" && config["text_config"]["rope_parameters"].is_object(), "{config}");
    assert!(json("processor_config.json")["image_processor"].is_object());
    let processor = Processor::from_dir(&dir).unwrap();
    let model = AnyModel::from_dir(&dir, &Device::flex()).unwrap();
    let store = ImageStore::open(&fixture("processor/images")).unwrap();
    let samples = Dataset::read(&fixture("processor/chats.json")).unwrap().samples;
    let expected = json("expected.json");
    let expected = expected.as_object().unwrap();
    assert_eq!(expected.len(), 5);
    for (key, expected) in expected {
        let sample = samples.iter().find(|sample| sample.id == *key).unwrap();
        let encoded = processor.encode(sample, &store).unwrap();
        let numbers = |key: &str| -> Vec<u32> { serde_json::from_value(expected[key].clone()).unwrap() };
        assert_eq!(encoded.text.ids, numbers("ids"), "{case} {key}");
        let answers: Vec<u32> = encoded.text.answers.iter().map(|answer| u32::from(*answer)).collect();
        assert_eq!(answers, numbers("answer"), "{case} {key}");
        let pixels = (!encoded.pixels.is_empty()).then(|| Arc::new(encoded.pixels));
        let sequence = Arc::new(Sequence { text: encoded.text, pixels });
        let image = processor.image_id().unwrap();
        let batch = VlmBatch::new(&[vec![sequence]], image, &Device::flex()).unwrap();
        let losses = model.forward(&batch, &AdapterStack::base(1, &model), false).mean();
        let (found, expected) = (losses.into_scalar::<f32>(), expected["loss"].as_f64().unwrap() as f32);
        assert!((found - expected).abs() < 1e-4, "{case} {key}: {found}, {expected}");
    }
}

#[test]
fn qwen2_5_vl_of_version_5() {
    check("qwen2_5_vl");
}

#[test]
fn llava_onevision_of_version_5() {
    check("llava_onevision");
}

#[test]
fn llava_next_of_version_5() {
    check("llava_next");
}

#[test]
fn smolvlm_of_version_5() {
    check("smolvlm");
}
