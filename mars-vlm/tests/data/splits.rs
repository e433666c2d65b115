//! Splits by images, and paths.

use crate::kit::item;
use mars_vlm::data::{Dataset, Fractions, ImageStore, Sample, split};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// 60 samples about 20 images, three each, with a copy of the first image under another name.
fn shared_images() -> (TempDir, Vec<Sample>) {
    let dir = tempfile::tempdir().unwrap();
    let mut items = Vec::new();
    for k in 0..20u8 {
        let picture = image::RgbImage::from_pixel(2, 2, image::Rgb([k, 0, 0]));
        picture.save(dir.path().join(format!("{k}.png"))).unwrap();
        items.extend(
            (0..3).map(|n| item(&format!("{k}.{n}"), &format!(r#""image":"{k}.png","#), "<image>q", "a")),
        );
    }
    fs::copy(dir.path().join("0.png"), dir.path().join("copy.png")).unwrap();
    items.push(item("copy", r#""image":"copy.png","#, "<image>q", "a"));
    let path = dir.path().join("data.json");
    fs::write(&path, format!("[{}]", items.join(","))).unwrap();
    let samples = Dataset::read(&path).unwrap().samples;
    (dir, samples)
}

#[test]
fn a_split_never_parts_samples_of_one_image() {
    let (dir, samples) = shared_images();
    let store = ImageStore::open(dir.path()).unwrap();
    let shares = Fractions { val: 0.2, test: 0.3 };
    let prints = |part: &[usize]| -> BTreeSet<[u8; 32]> {
        part.iter().flat_map(|&k| &samples[k].images).map(|image| store.fingerprint(image).unwrap()).collect()
    };
    let mut seen = BTreeSet::new();
    for seed in 0..5 {
        let parts = split(&samples, &store, shares, seed).unwrap();
        let all: BTreeSet<usize> =
            [&parts.train, &parts.val, &parts.test].into_iter().flatten().copied().collect();
        assert_eq!(all.len(), samples.len());
        assert_eq!(parts.train.len() + parts.val.len() + parts.test.len(), samples.len());
        let (train, val, test) = (prints(&parts.train), prints(&parts.val), prints(&parts.test));
        assert!(train.is_disjoint(&val) && train.is_disjoint(&test) && val.is_disjoint(&test));
        assert!(parts.val.len().abs_diff(12) <= 3 && parts.test.len().abs_diff(18) <= 3, "{parts:?}");
        assert_eq!(parts, split(&samples, &store, shares, seed).unwrap());
        seen.insert(parts.test);
    }
    assert_eq!(seen.len(), 5, "seeds must differ");
}

#[test]
fn a_split_does_not_depend_on_the_order_of_the_file() {
    let (dir, samples) = shared_images();
    let store = ImageStore::open(dir.path()).unwrap();
    let shares = Fractions { val: 0.2, test: 0.2 };
    let test_ids = |samples: &[Sample]| -> BTreeSet<String> {
        let parts = split(samples, &store, shares, 3).unwrap();
        parts.test.iter().map(|&k| samples[k].id.clone()).collect()
    };
    let turned: Vec<Sample> = samples.iter().rev().cloned().collect();
    assert_eq!(test_ids(&samples), test_ids(&turned));
}

#[test]
fn splits_that_cannot_be_made_are_refused() {
    let (dir, samples) = shared_images();
    let store = ImageStore::open(dir.path()).unwrap();
    let refused = |samples: &[Sample], val, test| {
        split(samples, &store, Fractions { val, test }, 0).unwrap_err().to_string()
    };
    assert!(refused(&samples, 0.7, 0.7).contains("0.7"));
    assert!(refused(&samples, f64::NAN, 0.1).contains("NaN"));
    assert!(refused(&samples[..3], 0.3, 0.3).contains("no sample is left for validation"));
}

#[test]
fn paths_of_a_data_file_in_the_working_directory() {
    assert_eq!(ImageStore::for_data(Path::new("data.json"), None).unwrap().path(), Path::new("."));
}
