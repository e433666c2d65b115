//! Digests of models and data, so that results on others are never taken for results on these.

use crate::Error;
use blake3::Hasher;
use mars_vlm::checkpoint::Precision;
use mars_vlm::data::{ImageRef, ImageStore, Sample};
use std::{collections::BTreeMap, fs, path::Path};

/// The files of a model directory that determine what it computes.
const SUFFIXES: [&str; 4] = ["safetensors", "json", "jinja", "txt"];

/// Digest of a model as it is loaded: names and contents of weights, configuration, tokenizer and template, and the type in
/// which weights are kept where it is not f32.
pub(super) fn model(directory: &Path, dtype: Precision) -> Result<String, Error> {
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(directory).map_err(Error::io("read", directory))? {
        let path = entry.map_err(Error::io("read", directory))?.path();
        let suffix = path.extension().map(|suffix| suffix.to_string_lossy().into_owned()).unwrap_or_default();
        if path.is_file() && SUFFIXES.contains(&suffix.as_str()) {
            let mut hash = Hasher::new();
            let file = fs::File::open(&path).map_err(Error::io("read", &path))?;
            hash.update_reader(file).map_err(Error::io("read", &path))?;
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            files.insert(name, hash.finalize());
        }
    }
    let mut all = Hasher::new();
    for (name, digest) in files {
        all.update(name.as_bytes()).update(&[0]).update(digest.as_bytes());
    }
    let files = short(&all);
    Ok(if dtype == Precision::F32 { files } else { format!("{files} {dtype}") })
}

/// Digest of samples: conversations and images, in order; names and places of files do not count.
pub(super) fn samples(samples: &[Sample], store: &ImageStore) -> Result<String, Error> {
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

fn print(
    image: &ImageRef,
    store: &ImageStore,
    known: &mut BTreeMap<String, [u8; 32]>,
) -> Result<[u8; 32], Error> {
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
