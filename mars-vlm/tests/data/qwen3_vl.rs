//! The processor of Qwen3-VL against transformers' own, with its fast image processor
//! (`mars-vlm/tests/oracle/qwen3_processor.py`).

use crate::families::{fixture, numbers, samples};
use mars_vlm::{
    chat::SpecialTokens,
    data::ImageStore,
    processor::{ImageProcessor, Processor, Resolution, qwen3_vl},
};
use safetensors::SafeTensors;
use serde_json::Value;
use std::fs;

fn json(name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixture("qwen3_processor").join(name)).unwrap()).unwrap()
}

fn largest(values: impl Iterator<Item = f32>) -> f32 {
    values.map(|v| if v.is_nan() { f32::INFINITY } else { v.abs() }).fold(0.0, f32::max)
}

#[test]
fn qwen3_vl_is_encoded_as_by_the_reference() {
    encoded_as_by_the_reference("qwen3_processor", ([0.5; 3], [0.5; 3]));
}

/// The conversations in `folder`, whose model directory normalises by mean and deviation of each channel.
pub(crate) fn encoded_as_by_the_reference(folder: &str, (mean, std): ([f32; 3], [f32; 3])) {
    let read = |file: &str| fs::read(fixture(folder).join(file)).unwrap();
    let expected: Value = serde_json::from_slice(&read("expected.json")).unwrap();
    let expected = expected.as_object().unwrap();
    let bytes = read("pieces.safetensors");
    let pieces = SafeTensors::deserialize(&bytes).unwrap();
    let store = ImageStore::open(&fixture("processor/images")).unwrap();
    let processor = Processor::from_dir(&fixture(folder).join("model")).unwrap();
    let samples = samples();
    assert_eq!(expected.len(), 8);
    for (key, expected) in expected {
        let sample = &samples[key];
        let encoded = processor.encode(sample, &store).unwrap();
        let text = &encoded.text;
        let rendered = processor.template.render(&sample.turns, false).unwrap();
        assert_eq!(rendered, expected["text"].as_str().unwrap(), "{key}");
        assert_eq!(text.ids, numbers(&expected["ids"]), "{key}");
        let mask: Vec<bool> = numbers(&expected["answer"]).iter().map(|mark| *mark == 1).collect();
        assert_eq!(text.answers, mask, "{key}");
        let positions: Option<Vec<[u32; 3]>> = serde_json::from_value(expected["positions"].clone()).unwrap();
        assert_eq!(text.positions, positions, "{key}");
        let Ok(reference) = pieces.tensor(key) else {
            assert!(encoded.pixels.is_empty(), "{key}");
            continue;
        };
        // As 8-bit values: decoding and resizing are exact.
        let found = &encoded.pixels.values;
        assert_eq!(found.len(), reference.data().len(), "{key}");
        // Patches are normalised alike in all channels.
        let plane = reference.shape().get(2).copied().unwrap_or(1);
        let gaps = found.iter().zip(reference.data()).enumerate().map(|(n, (v, byte))| {
            let channel = n / plane % 3;
            (v * std[channel] + mean[channel]) * 255.0 - f32::from(*byte)
        });
        let worst = largest(gaps);
        assert!(worst <= 0.01, "{key}: {worst} of 255");
        if let Ok(values) = pieces.tensor(&format!("{key}.values")) {
            let values = values.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            let worst = largest(values.zip(found).map(|(a, b)| a - b));
            assert!(worst < 1e-6, "{key}: normalised values differ by {worst}");
        }
    }
}

/// A model directory with these settings of images.
fn with_images(settings: &Value) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("preprocessor_config.json"), settings.to_string()).unwrap();
    dir
}

#[test]
fn images_are_sized_between_the_limits_of_the_file() {
    let rows = json("limits.json");
    let rows = rows.as_array().unwrap();
    assert_eq!(rows.len(), 13);
    for row in rows {
        let dir = with_images(&row["settings"]);
        let images = qwen3_vl::from_dir(dir.path(), &SpecialTokens::default()).unwrap();
        let size = numbers(&row["size"]);
        let layout = images.layouts(&[(size[0] as usize, size[1] as usize)]).unwrap().remove(0);
        let grid = [layout.shape.grid.rows as u32, layout.shape.grid.cols as u32];
        assert_eq!(grid.to_vec(), numbers(&row["grid"]), "{row}");
        assert_eq!(layout.tokens.len() as u32, grid[0] * grid[1] / 4, "{row}");
    }
}

#[test]
fn what_the_family_does_not_take_is_refused_by_name() {
    let dir = with_images(&serde_json::json!({"resample": 2}));
    let error = qwen3_vl::from_dir(dir.path(), &SpecialTokens::default()).unwrap_err().to_string();
    assert!(error.contains("Bilinear") && error.contains("3 (bicubic)"), "{error}");
    let dir = with_images(&serde_json::json!({}));
    let mut images = qwen3_vl::from_dir(dir.path(), &SpecialTokens::default()).unwrap();
    let error =
        images.resize_to(&Resolution { longest_edge: Some(20), ..Resolution::default() }).unwrap_err();
    assert!(error.contains("of Qwen3-VL are sized by min_pixels and max_pixels"), "{error}");
}

#[test]
fn an_image_is_not_enlarged_beyond_all_bounds() {
    let dir = with_images(&serde_json::json!({
        "patch_size": 4096, "merge_size": 2, "min_pixels": 1 << 26, "max_pixels": 1u64 << 40,
    }));
    let images = qwen3_vl::from_dir(dir.path(), &SpecialTokens::default()).unwrap();
    assert!(images.layouts(&[(8192, 8192)]).is_ok());
    let error = images.layouts(&[(20_000, 100)]).unwrap_err();
    assert!(error.contains("20000 x 100") && error.contains("122880 x 8192"), "{error}");
}

#[test]
fn an_image_is_not_repeated_beyond_all_bounds() {
    for resize in [true, false] {
        let dir = with_images(&serde_json::json!({
            "patch_size": 16, "temporal_patch_size": 64, "min_pixels": 1, "max_pixels": 1 << 26, "do_resize": resize,
        }));
        let images = qwen3_vl::from_dir(dir.path(), &SpecialTokens::default()).unwrap();
        assert!(images.layouts(&[(2048, 2048)]).is_ok());
        let error = images.layouts(&[(8192, 8192)]).unwrap_err();
        assert!(error.contains("8192 x 8192 in 64 frames"), "{error}");
    }
}
