//! Digests of models and data, so that results on others are never taken for results on these.

use anyhow::{Context, Result};
use blake3::Hasher;
use mars_vlm::data::{ImageRef, ImageStore, Sample};
use std::{collections::BTreeMap, fs, path::Path};

/// The files of a model directory that determine what it computes.
const SUFFIXES: [&str; 4] = ["safetensors", "json", "jinja", "txt"];

/// Digest of a model directory: names and contents of weights, configuration, tokenizer and template.
pub(crate) fn model(directory: &Path) -> Result<String> {
    let read = || format!("cannot read {}", directory.display());
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).with_context(read)? {
        let path = entry.with_context(read)?.path();
        let suffix = path.extension().map(|suffix| suffix.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_file() && SUFFIXES.contains(&suffix.as_str()) {
            let mut hash = Hasher::new();
            hash.update_reader(
                fs::File::open(&path).with_context(|| format!("cannot read {}", path.display()))?,
            )
            .with_context(|| format!("cannot read {}", path.display()))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.insert(name, hash.finalize());
        }
    }
    let mut all = Hasher::new();
    for (name, digest) in files {
        all.update(name.as_bytes()).update(&[0]).update(digest.as_bytes());
    }
    Ok(short(&all))
}

/// Digest of samples: conversations and images, in order; names and places of files do not count.
pub(crate) fn samples(samples: &[Sample], store: &ImageStore) -> Result<String> {
    let mut images: BTreeMap<String, [u8; 32]> = BTreeMap::new();
    let mut all = Hasher::new();
    for sample in samples {
        for turn in &sample.turns {
            all.update(turn.role.name().as_bytes()).update(&[0]);
            all.update(format!("{:?}", turn.parts).as_bytes()).update(&[0]);
        }
        for image in &sample.images {
            all.update(&print(image, store, &mut images)?);
        }
        all.update(&[1]);
    }
    Ok(short(&all))
}

fn print(image: &ImageRef, store: &ImageStore, known: &mut BTreeMap<String, [u8; 32]>) -> Result<[u8; 32]> {
    let ImageRef::Path(name) = image else { return Ok(store.fingerprint(image)?) };
    if let Some(print) = known.get(name) {
        return Ok(*print);
    }
    let print = store.fingerprint(image)?;
    known.insert(name.clone(), print);
    Ok(print)
}

fn short(hash: &Hasher) -> String {
    hash.finalize().to_hex()[..16].to_owned()
}
