//! The processors of LLaVA-1.5 and LLaVA-NeXT against transformers' own, with slow image processors
//! (`mars-vlm/tests/oracle/llava_processor.py`).

use crate::families::{fixture, numbers, samples};
use mars_vlm::{
    chat::SpecialTokens,
    data::ImageStore,
    processor::{Processor, Resolution, images_of_dir},
};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::{fs, path::Path};

const CLIP: ([f32; 3], [f32; 3]) =
    ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.261_302_6, 0.275_777_1]);

fn largest(values: impl Iterator<Item = f32>) -> f32 {
    values.map(|v| if v.is_nan() { f32::INFINITY } else { v.abs() }).fold(0.0, f32::max)
}

#[test]
fn every_image_processor_is_followed_to_the_bit() {
    let expected: Value =
        serde_json::from_slice(&fs::read(fixture("llava_processor/expected.json")).unwrap()).unwrap();
    let bytes = fs::read(fixture("llava_processor/pieces.safetensors")).unwrap();
    let pieces = SafeTensors::deserialize(&bytes).unwrap();
    let store = ImageStore::open(&fixture("processor/images")).unwrap();
    let samples = samples();
    for (name, expected) in expected.as_object().unwrap() {
        let processor = Processor::from_dir(&fixture("llava_processor").join(name)).unwrap();
        let (mean, std) = if name == "squeezed" { ([0.5; 3], [0.5; 3]) } else { CLIP };
        let expected = expected.as_object().unwrap();
        assert_eq!(expected.len(), 8);
        for (key, expected) in expected {
            let (sample, what) = (&samples[key], format!("{name} {key}"));
            let encoded = processor.encode(sample, &store).unwrap();
            let rendered = processor.template.render(&sample.turns, false).unwrap();
            assert_eq!(rendered, expected["text"].as_str().unwrap(), "{what}");
            assert_eq!(encoded.text.ids, numbers(&expected["ids"]), "{what}");
            let count = processor.token_count(sample, &store).unwrap();
            assert_eq!(
                (count.total, count.image),
                (encoded.text.ids.len(), encoded.pixels.tokens()),
                "{what}"
            );
            assert_eq!(count.answer, encoded.text.answer_tokens(), "{what}");
            let Ok(reference) = pieces.tensor(&format!("{name}.{key}")) else {
                assert!(encoded.pixels.is_empty(), "{what}");
                continue;
            };
            // As 8-bit values: decoding and resizing are exact.
            let (found, plane) = (&encoded.pixels.values, reference.shape()[2]);
            assert_eq!(found.len(), reference.data().len(), "{what}");
            let gaps = found.iter().zip(reference.data()).enumerate().map(|(n, (value, byte))| {
                let channel = n / plane % 3;
                (value * std[channel] + mean[channel]) * 255.0 - f32::from(*byte)
            });
            let worst = largest(gaps);
            assert!(worst <= 0.01, "{what}: {worst} of 255");
            if let Ok(values) = pieces.tensor(&format!("{name}.{key}.values")) {
                let values = values.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
                let worst = largest(values.zip(found).map(|(a, b)| a - b));
                assert!(worst < 1e-6, "{what}: normalised values differ by {worst}");
            }
        }
    }
}

/// What is said of a copy of a model directory with one value changed, if it is refused.
fn changed(name: &str, file: &str, at: &str, value: Value) -> Result<usize, String> {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture("llava_processor").join(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let path = dir.path().join(file);
    let mut all: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    *all.pointer_mut(at).unwrap_or_else(|| panic!("{at}")) = value;
    fs::write(&path, all.to_string()).unwrap();
    tokens(dir.path())
}

/// Tokens of an image of 20 x 20 pixels.
fn tokens(dir: &Path) -> Result<usize, String> {
    let images = images_of_dir(dir, &SpecialTokens::default()).map_err(|error| error.to_string())?;
    Ok(images.layouts(&[(20, 20)]).unwrap()[0].tokens.len())
}

#[test]
fn files_that_count_other_features_than_the_model_are_refused() {
    const PROCESSOR: &str = "processor_config.json";
    const IMAGES: &str = "preprocessor_config.json";
    for (name, file, at, value, says) in [
        ("cropped", PROCESSOR, "/patch_size", json!(8), "patch_size is 8, but 4 follows"),
        ("cropped", PROCESSOR, "/num_additional_image_tokens", json!(0), "is 0, but 1 follows"),
        ("squeezed", PROCESSOR, "/num_additional_image_tokens", json!(1), "is 1, but 0 follows"),
        ("tiles", PROCESSOR, "/vision_feature_select_strategy", json!("full"), "gives 16 features"),
        ("cropped", IMAGES, "/crop_size", json!(20), "20 x 20 pixels of images of 19"),
        ("cropped", IMAGES, "/size/shortest_edge", json!(15), "16 x 16 pixels of images of 15"),
        ("cropped", IMAGES, "/do_center_crop", json!(false), "not square"),
        ("padded", IMAGES, "/do_resize", json!(false), "do_resize is false"),
        ("squeezed", IMAGES, "/size/height", json!(17), "tiles of 16"),
        ("tiles", IMAGES, "/size", json!({"height": 15, "width": 17}), "size is 15"),
        ("tiles", IMAGES, "/image_grid_pinpoints/0", json!([16, 24]), "(16, 24)"),
        ("tiles", IMAGES, "/image_grid_pinpoints/0", json!([16, 64]), "differs from that of config.json"),
    ] {
        let refusal = changed(name, file, at, value).unwrap_err();
        assert!(refusal.contains(says) && refusal.contains(file), "{name} {at}: {refusal}");
    }
    // A file that does not say how many is believed, as are numbers for sides and the names of newer processors.
    for (name, file, at, value, expected) in [
        ("cropped", PROCESSOR, "/num_additional_image_tokens", Value::Null, 16),
        ("cropped", PROCESSOR, "/patch_size", Value::Null, 16),
        ("cropped", IMAGES, "/crop_size", json!(16), 16),
        ("cropped", IMAGES, "/size", json!(17), 16),
        ("padded", IMAGES, "/do_center_crop", json!(false), 17),
        ("squeezed", IMAGES, "/image_processor_type", json!("SiglipImageProcessorFast"), 16),
        ("tiles", IMAGES, "/image_processor_type", json!("LlavaNextImageProcessorPil"), 16 + 8 * 9),
    ] {
        assert_eq!(changed(name, file, at, value), Ok(expected), "{name} {at}");
    }
}

#[test]
fn only_tiles_can_be_fewer_and_an_image_cannot_grow_beyond_all_bounds() {
    let open = |name| Processor::from_dir(&fixture("llava_processor").join(name)).unwrap();
    let set = Resolution { longest_edge: Some(32), ..Resolution::default() };
    let error = open("cropped").with_resolution(&set).unwrap_err().to_string();
    assert!(error.contains("of LLaVA-1.5 cannot be set"), "{error}");
    let fewer = open("tiles").with_resolution(&set).unwrap();
    let tiles = |processor: &Processor| processor.images.layouts(&[(100, 20)]).unwrap()[0].shape.tiles;
    assert_eq!((tiles(&open("tiles")), tiles(&fewer)), (4, 3));
    for (name, size) in [("cropped", (10_000_000, 2)), ("padded", (2, 9000))] {
        let error = open(name).images.layouts(&[size]).unwrap_err();
        assert!(error.contains(&format!("{} x {}", size.0, size.1)), "{error}");
    }
}

#[test]
fn videos_are_refused_wherever_they_stand() {
    let store = ImageStore::open(&fixture("processor/images")).unwrap();
    let read = |record: Value| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("data.json");
        fs::write(&path, json!([record]).to_string()).unwrap();
        mars_vlm::data::Dataset::read(&path).map(|data| data.samples[0].clone())
    };
    let turns = |question: Value| json!([{"role": "user", "content": question}, {"role": "assistant", "content": "A cat."}]);
    for record in [
        json!({"messages": turns(json!([{"type": "video", "path": "a.mp4"}, {"type": "text", "text": "What?"}]))}),
        json!({"video": "a.mp4", "messages": turns(json!("<video>\nWhat?"))}),
        json!({"videos": ["a.mp4"], "messages": turns(json!("What?"))}),
    ] {
        let refusal = read(record).unwrap_err().to_string();
        assert!(refusal.contains("video") && refusal.contains("give frames of"), "{refusal}");
    }
    // The token of a video without one; a model without such a token takes it for text.
    let sample = read(json!({"messages": turns(json!("<video>\nWhat?"))})).unwrap();
    for (model, refused) in [
        ("transformers5/smolvlm", true),
        ("transformers5/llava_onevision", true),
        ("llava_processor/tiles", false),
    ] {
        match Processor::from_dir(&fixture(model)).unwrap().encode(&sample, &store) {
            Err(error) => {
                let text = error.to_string();
                assert!(
                    refused && text.contains("<video>") && text.contains("videos are not read"),
                    "{text}"
                );
            }
            Ok(_) => assert!(!refused, "{model}"),
        }
    }
}
