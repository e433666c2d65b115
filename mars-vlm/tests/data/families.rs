//! The processors of LLaVA-OneVision and Qwen2-VL against transformers' own (`mars-vlm/tests/oracle/families.py`).

use mars_vlm::{
    Error,
    chat::SpecialTokens,
    data::{Dataset, ImageStore, ProblemKind, Sample},
    processor::{Encoded, Processor, images_of_dir, llava_onevision::LlavaOnevisionImages},
};
use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::{collections::BTreeMap, fs, path::PathBuf};

pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures")).join(name)
}

pub(crate) fn samples() -> BTreeMap<String, Sample> {
    let all = Dataset::read(&fixture("processor/chats.json")).unwrap().samples;
    all.into_iter().map(|sample| (sample.id.clone(), sample)).collect()
}

pub(crate) fn numbers(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap() as u32).collect()
}

/// Runs `check` on every conversation of a family.
fn each(family: &str, mut check: impl FnMut(&Processor, &Sample, &Encoded, &Value)) {
    let expected: Value =
        serde_json::from_slice(&fs::read(fixture("families/expected.json")).unwrap()).unwrap();
    let store = ImageStore::open(&fixture("processor/images")).unwrap();
    let processor = Processor::from_dir(&fixture("families").join(family)).unwrap();
    let samples = samples();
    let expected = expected[family].as_object().unwrap();
    assert_eq!(expected.len(), 8);
    for (key, expected) in expected {
        let encoded = processor.encode(&samples[key], &store).unwrap();
        check(&processor, &samples[key], &encoded, expected);
        let count = processor.token_count(&samples[key], &store).unwrap();
        let text = &encoded.text;
        assert_eq!((count.total, count.image), (text.ids.len(), encoded.pixels.tokens()), "{family} {key}");
        assert_eq!((count.answer, count.image), (text.answer_tokens(), text.image_tokens), "{family} {key}");
    }
}

/// Tiles as 8-bit values: decoding and resizing are exact.
fn assert_tiles(family: &str, sample: &str, encoded: &Encoded) {
    let bytes = fs::read(fixture("families/pieces.safetensors")).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let at = format!("{family}.{sample}");
    let Ok(reference) = file.tensor(&at) else {
        assert!(encoded.pixels.is_empty() && encoded.pixels.values.is_empty(), "{at}");
        return;
    };
    assert_eq!(encoded.pixels.len(), reference.shape()[0], "{at}");
    assert_eq!(encoded.pixels.values.len(), reference.data().len(), "{at}");
    let (mean, std) = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.261_302_6, 0.275_777_1]);
    let plane = reference.shape()[2];
    let largest = encoded.pixels.values.iter().zip(reference.data()).enumerate().map(|(n, (value, byte))| {
        let channel = n / plane % 3;
        ((value * std[channel] + mean[channel]) * 255.0 - f32::from(*byte)).abs()
    });
    let largest = largest.map(|v| if v.is_nan() { f32::INFINITY } else { v }).fold(0.0, f32::max);
    assert!(largest <= 0.01, "{at}: {largest} of 255");
    if let Ok(values) = file.tensor(&format!("{at}.values")) {
        let values = values.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        let worst = values.zip(&encoded.pixels.values).map(|(a, b)| (a - b).abs());
        let worst = worst.map(|v| if v.is_nan() { f32::INFINITY } else { v }).fold(0.0, f32::max);
        assert!(worst < 1e-6, "{at}: normalised values differ by {worst}");
    }
}

#[test]
fn llava_onevision_is_encoded_as_by_the_reference() {
    each("llava", |processor, sample, encoded, expected| {
        let (id, text) = (&sample.id, &encoded.text);
        let rendered = processor.template.render(&sample.turns, false).unwrap();
        assert_eq!(rendered, expected["text"].as_str().unwrap(), "{id}");
        assert_eq!(text.ids, numbers(&expected["ids"]), "{id}");
        // The template marks the answer without the end of the turn, which a model must learn to generate too.
        let end = processor.tokenizer.id("<|im_end|>").unwrap();
        let mut tagged: Vec<bool> = numbers(&expected["answer"]).iter().map(|mark| *mark == 1).collect();
        for at in 1..tagged.len() {
            tagged[at] |= tagged[at - 1] && text.ids[at] == end;
        }
        assert_eq!(text.answers, tagged, "{id}");
        assert!(text.positions.is_none());
        assert_tiles("llava", id, encoded);
    });
}

#[test]
fn qwen2_vl_is_encoded_as_by_the_reference() {
    each("qwen", |processor, sample, encoded, expected| {
        let (id, text) = (&sample.id, &encoded.text);
        let rendered = processor.template.render(&sample.turns, false).unwrap();
        assert_eq!(rendered, expected["text"].as_str().unwrap(), "{id}");
        assert_eq!(text.ids, numbers(&expected["ids"]), "{id}");
        let mask: Vec<bool> = numbers(&expected["answer"]).iter().map(|mark| *mark == 1).collect();
        assert_eq!(text.answers, mask, "{id}");
        let positions: Vec<[u32; 3]> = serde_json::from_value(expected["positions"].clone()).unwrap();
        assert_eq!(text.positions.as_ref(), Some(&positions), "{id}");
        assert_tiles("qwen", id, encoded);
    });
}

#[test]
fn an_image_of_a_size_that_the_model_does_not_take_is_a_problem_of_its_sample() {
    let processor = Processor::from_dir(&fixture("families/qwen")).unwrap();
    let sample = &samples()["square"];
    let Error::Data(problem) = processor.count_for_sizes(sample, &[(4000, 10)]).unwrap_err() else {
        panic!()
    };
    assert_eq!((problem.kind, problem.id.as_str()), (ProblemKind::ImageShape, "square"));
    assert!(problem.to_string().contains("4000 x 10"), "{problem}");
}

/// A copy of a family's directory with one file changed.
fn broken(family: &str, file: &str, change: fn(&mut Value)) -> String {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(fixture("families").join(family)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    let path = dir.path().join(file);
    let mut value: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    change(&mut value);
    fs::write(&path, value.to_string()).unwrap();
    Processor::from_dir(dir.path()).unwrap_err().to_string()
}

#[test]
fn files_that_contradict_each_other_are_refused_with_both_values() {
    type Case = (&'static str, &'static str, fn(&mut Value), &'static [&'static str]);
    const SETTINGS: &str = "preprocessor_config.json";
    let cases: [Case; 10] = [
        (
            "llava",
            "config.json",
            |v| v["model_type"] = "llava_onevision1_5".into(),
            &["`llava_onevision1_5`", "nearest", "LLaVA-OneVision (`llava_onevision`)", "Qwen2.5-VL"],
        ),
        ("llava", "config.json", |v| v["vision_config"]["image_size"] = 20.into(), &["size is 16", "20"]),
        (
            "llava",
            "config.json",
            |v| v["image_token_index"] = 1.into(),
            &["image_token_id 1", "tokenizer.json"],
        ),
        ("llava", "config.json", |v| v["vision_aspect_ratio"] = "pad".into(), &["`pad`", "anyres_max_4"]),
        ("llava", SETTINGS, |v| v["image_grid_pinpoints"] = 3.into(), &["image_grid_pinpoints 3"]),
        ("llava", SETTINGS, |v| v["image_grid_pinpoints"][0][0] = 17.into(), &["(17, 16)", "multiple of 16"]),
        ("llava", "processor_config.json", |v| v["num_image_tokens"] = 9.into(), &["is 9", "4 x 4"]),
        ("qwen", SETTINGS, |v| v["patch_size"] = 5.into(), &["patch_size is 5", "4"]),
        ("qwen", SETTINGS, |v| v["min_pixels"] = 9999.into(), &["9999", "1936"]),
        ("qwen", SETTINGS, |v| v["image_processor_type"] = "X".into(), &["\"X\"", "Qwen2VLImageProcessor"]),
    ];
    for (family, file, change, words) in cases {
        let message = broken(family, file, change);
        for word in words {
            assert!(message.contains(word), "{family} {file}: {message:?} lacks {word:?}");
        }
    }
}

#[test]
fn what_config_json_leaves_out_has_the_default_of_the_encoder() {
    let dir = tempfile::tempdir().unwrap();
    let opened = |model_type: &str, vision: &Value, images: &Value| {
        let write = |name: &str, value: &Value| fs::write(dir.path().join(name), value.to_string()).unwrap();
        write("config.json", &json!({"model_type": model_type, "vision_config": vision}));
        write("preprocessor_config.json", images);
        images_of_dir(dir.path(), &SpecialTokens::default()).map(|_| ())
    };
    let large = json!({"size": {"height": 896, "width": 896}});
    for (model_type, vision, images, says) in [
        (
            "qwen2_vl",
            json!({}),
            json!({"patch_size": 16}),
            "patch_size is 16, but config.json has the default patch_size 14",
        ),
        ("qwen2_5_vl", json!(null), json!({"patch_size": 12}), "patch_size is 12"),
        (
            "qwen2_vl",
            json!({"patch_size": null}),
            json!({"temporal_patch_size": 1}),
            "the default temporal_patch_size 2",
        ),
        ("qwen2_vl", json!({}), json!({"merge_size": 4}), "the default spatial_merge_size 2"),
        ("qwen3_vl", json!({}), json!({}), "patch_size is 14, but config.json has the default patch_size 16"),
        (
            "llava_onevision",
            json!({"patch_size": 14}),
            json!({}),
            "size is 384, but config.json has the default image_size 224, patch_size 14",
        ),
        ("gemma3", json!({}), large.clone(), "size is 896, but config.json has the default image_size 224"),
    ] {
        let Err(Error::Config { .. }) = opened(model_type, &vision, &images) else { panic!("{says}") };
        let error = opened(model_type, &vision, &images).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains("preprocessor_config.json"), "{says}: {error}");
    }
    for (model_type, vision, images) in [
        ("qwen2_vl", json!({}), json!({})),
        ("qwen2_5_vl", json!({"patch_size": 16}), json!({"patch_size": 16})),
        ("qwen3_vl", json!({}), json!({"patch_size": 16})),
        ("gemma3", json!({}), json!({})),
        ("gemma3", json!({"image_size": 896}), large),
    ] {
        opened(model_type, &vision, &images).unwrap();
    }
}

/// The model makes 24 x 24 features of such a tile, which has 27 x 27 patches of 14 pixels.
#[test]
fn features_of_llava_onevision_are_those_of_its_encoder() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("preprocessor_config.json"), "{}").unwrap();
    for (vision, side) in [
        (json!({"image_size": 384}), 24),
        (json!({"image_size": 384, "patch_size": 14}), 27),
        (json!(null), 27),
    ] {
        let config = json!({"model_type": "llava_onevision", "vision_config": vision});
        fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        let images = LlavaOnevisionImages::from_dir(dir.path(), &SpecialTokens::default()).unwrap();
        assert_eq!(images.tiling.side, side, "{vision}");
    }
}
