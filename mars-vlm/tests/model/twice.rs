//! Weights that a folder has more than once: what is read is what `transformers` reads.

use crate::kit::fixture;
use burn::tensor::Device;
use mars_lora::Model;
use mars_lora::stored::Shards;
use mars_vlm::checkpoint::{Named, Source, Weights, save};
use mars_vlm::model::Idefics3;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

const INDEX: &str = "model.safetensors.index.json";
const SINGLE: &str = "model.safetensors";
const SHARDS: [&str; 2] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];
const HEAD: &str = "lm_head.weight";

/// A copy of a divided checkpoint.
fn divided() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in fs::read_dir(fixture("idefics3/sharded_bf16")).unwrap().map(|entry| entry.unwrap()) {
        fs::copy(file.path(), dir.path().join(file.file_name())).unwrap();
    }
    dir
}

/// Saves the same model in one file, with all values of its output layer doubled.
fn save_again(dir: &Path) {
    let shards = Shards::open(dir).unwrap();
    let shapes: Vec<(String, Vec<usize>)> = shards
        .files()
        .iter()
        .flat_map(|file| file.tensors())
        .map(|tensor| (tensor.name.clone(), tensor.shape.clone()))
        .collect();
    let mut weights = Weights::open(dir).unwrap();
    let doubled = shapes.into_iter().map(|(name, shape)| -> Named {
        let factor = if name == HEAD { 2.0 } else { 1.0 };
        let values = weights.values(&name, &shape).unwrap().iter().map(|value| value * factor).collect();
        (name, shape, values)
    });
    let doubled: Vec<Named> = doubled.collect();
    save(&dir.join(SINGLE), &doubled, false).unwrap();
}

fn head(dir: &Path) -> Vec<f32> {
    let net = Idefics3::from_dir(dir, &Device::flex()).unwrap();
    assert!(!net.sites().is_empty());
    net.net.language.lm_head.as_ref().unwrap().val().into_data().iter::<f32>().collect()
}

#[test]
fn the_single_file_counts() {
    let dir = divided();
    let dir = dir.path();
    assert!(Shards::open(dir).unwrap().notes().is_empty());
    let old = head(dir);
    save_again(dir);
    let expected: Vec<f32> = old.iter().map(|value| 2.0 * value).collect();
    let notes = Shards::open(dir).unwrap().notes().to_vec();
    assert!(
        notes.len() == 1 && notes[0].contains(INDEX) && notes[0].contains("model.safetensors is read"),
        "{notes:?}"
    );
    assert_eq!(head(dir), expected);
    // An index of shards that are gone, and one that is none, do not matter.
    SHARDS.iter().for_each(|name| fs::remove_file(dir.join(name)).unwrap());
    assert_eq!(head(dir), expected);
    fs::write(dir.join(INDEX), "{").unwrap();
    assert_eq!(head(dir), expected);
    fs::write(dir.join("pytorch_model.bin"), "old").unwrap();
    let notes = Shards::open(dir).unwrap().notes().to_vec();
    assert!(notes.len() == 1 && notes[0].contains("pytorch_model.bin"), "{notes:?}");
    assert_eq!(head(dir), expected);
}

#[test]
fn an_index_counts_where_the_single_file_is_none() {
    let dir = divided();
    let expected = head(dir.path());
    fs::create_dir(dir.path().join(SINGLE)).unwrap();
    assert_eq!(head(dir.path()), expected);
    fs::write(dir.path().join("pytorch_model.bin"), "old").unwrap();
    assert_eq!(head(dir.path()), expected);
    assert!(Shards::open(dir.path()).unwrap().notes()[0].contains("index.json is read"));
}
