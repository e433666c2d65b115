//! Images of a size that the user sets, against transformers' own processors (`mars-vlm/tests/oracle/resolution.py`).

use mars_vlm::{
    data::{Dataset, ImageRef, ImageStore, RgbImage, Sample},
    processor::{Processor, Resolution},
};
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::PathBuf};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures")).join(name)
}

#[derive(Deserialize)]
struct Expected {
    model: String,
    set: BTreeMap<String, usize>,
    image: String,
    tiles: usize,
    grid: [usize; 2],
    tokens: usize,
    values: String,
}

fn resolution(set: &BTreeMap<String, usize>) -> Resolution {
    let get = |name: &str| set.get(name).copied();
    Resolution {
        min_pixels: get("min_pixels"),
        max_pixels: get("max_pixels"),
        longest_edge: get("longest_edge"),
    }
}

fn image(store: &ImageStore, name: &str) -> RgbImage {
    store.load(&ImageRef::Path(name.into())).unwrap()
}

/// The hash FNV-1a of the bytes that these normalised values were.
fn hash(processor: &Processor, values: &[f32], family: &str) -> String {
    let clip = ([0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.261_302_6, 0.275_777_1]);
    let (mean, std) = if family.starts_with("families") { clip } else { ([0.5; 3], [0.5; 3]) };
    let plane = processor.images.tile_shape().iter().product::<usize>() / 3;
    let mut state = 0xcbf2_9ce4_8422_2325_u64;
    for (n, value) in values.iter().enumerate() {
        let channel = n / plane % 3;
        let byte = (value * std[channel] + mean[channel]) * 255.0;
        assert!((byte - byte.round()).abs() < 0.01, "{byte}");
        state = (state ^ byte.round() as u64).wrapping_mul(0x100_0000_01b3);
    }
    format!("{state:016x}")
}

#[test]
fn tiles_and_tokens_under_a_setting_are_those_of_the_reference() {
    let cases: Vec<Expected> =
        serde_json::from_slice(&fs::read(fixture("resolution.json")).unwrap()).unwrap();
    assert!(cases.len() >= 100, "{}", cases.len());
    let store = ImageStore::open(&fixture("processor/images")).unwrap();
    for case in &cases {
        let processor = Processor::from_dir(&fixture(&case.model)).unwrap();
        let processor = processor.with_resolution(&resolution(&case.set)).unwrap();
        let got = processor.images.process(&[image(&store, &case.image)]).unwrap();
        let what = format!("{} {:?} {}", case.model, case.set, case.image);
        let layout = &got.images[0];
        assert_eq!((layout.shape.tiles, got.len()), (case.tiles, case.tiles), "{what}");
        // A grid of one tile is that tile again to LLaVA-OneVision, and none to Idefics3.
        assert_eq!([layout.shape.grid.rows, layout.shape.grid.cols], case.grid, "{what}");
        assert_eq!(layout.tokens.len(), case.tokens, "{what}");
        assert_eq!(hash(&processor, &got.values, &case.model), case.values, "{what}");
    }
}

#[test]
fn tokens_of_samples_follow_the_setting_and_what_sets_nothing_changes_nothing() {
    let store = ImageStore::open(&fixture("processor/images")).unwrap();
    let samples: Vec<Sample> = Dataset::read(&fixture("processor/chats.json")).unwrap().samples;
    let set = |name: &str, value: usize| resolution(&BTreeMap::from([(name.to_owned(), value)]));
    for (model, fewer) in [
        ("families/qwen", set("max_pixels", 256)),
        ("processor/split", set("longest_edge", 16)),
        ("families/llava", set("max_pixels", 256)),
        ("families/llava", set("longest_edge", 16)),
    ] {
        let open = |resolution: &Resolution| {
            Processor::from_dir(&fixture(model)).unwrap().with_resolution(resolution).unwrap()
        };
        let (own, none, fewer) =
            (Processor::from_dir(&fixture(model)).unwrap(), open(&Resolution::default()), open(&fewer));
        for key in ["square", "wide"] {
            let sample = samples.iter().find(|sample| sample.id == key).unwrap();
            let count = |processor: &Processor| processor.token_count(sample, &store).unwrap();
            assert_eq!(count(&own), count(&none), "{model} {key}");
            assert!(count(&fewer).image < count(&own).image, "{model} {key}");
            assert_eq!(count(&fewer).answer, count(&own).answer, "{model} {key}");
        }
    }
}

#[test]
fn what_a_family_does_not_have_or_cannot_do_is_refused_by_name() {
    type Case = (&'static str, &'static [(&'static str, usize)], &'static [&'static str]);
    let cases: [Case; 11] = [
        ("families/qwen", &[("longest_edge", 20)], &["longest_edge is 20", "Qwen2-VL", "max_pixels"]),
        ("families/qwen", &[("max_pixels", 63)], &["max_pixels 63", "64 (one token)"]),
        ("families/qwen", &[("max_pixels", 100)], &["min_pixels is 192", "max_pixels 100"]),
        ("families/qwen", &[("min_pixels", 1 << 40)], &["min_pixels is 1099511627776"]),
        ("processor/split", &[("max_pixels", 2000)], &["max_pixels is 2000", "SmolVLM", "longest_edge"]),
        ("processor/split", &[("min_pixels", 2000)], &["min_pixels is 2000", "Idefics3", "longest_edge"]),
        ("processor/split", &[("longest_edge", usize::MAX)], &["longest_edge is 18446744073709551615"]),
        ("processor/whole", &[("max_pixels", 1)], &["max_pixels is 1,"]),
        ("families/llava", &[("min_pixels", 9)], &["min_pixels is 9", "LLaVA-OneVision"]),
        ("families/llava", &[("max_pixels", 255)], &["max_pixels 255", "16 x 16"]),
        ("families/llava", &[("longest_edge", 15)], &["longest_edge 15", "16 x 16"]),
    ];
    for (model, set, parts) in cases {
        let set = set.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        let processor = Processor::from_dir(&fixture(model)).unwrap();
        let error = processor.with_resolution(&resolution(&set)).unwrap_err().to_string();
        assert!(parts.iter().all(|part| error.contains(part)), "{model} {set:?}: {error}");
    }
}
