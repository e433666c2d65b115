//! The tensors of a checkpoint directory: `model.safetensors`, or shards with their index.

use super::bytes;
use super::loader::Source;
use super::precision::Precision;
use crate::Error;
use burn::tensor::TensorData;
use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
/// What to do about a broken file.
const FETCH: &str = "fetch or copy the checkpoint again";

/// One open file.
struct Shard {
    path: PathBuf,
    map: Mmap,
}

/// Checkpoint tensors by name, read on demand as f32.
pub struct Weights {
    shards: Vec<Shard>,
    /// Shard of each tensor.
    places: BTreeMap<String, usize>,
    unread: BTreeSet<String>,
    dir: PathBuf,
}

impl Weights {
    /// Opens the checkpoint in `dir` and checks that its files are whole.
    ///
    /// # Errors
    /// [`Error::Io`] for a missing or unreadable file, [`Error::Malformed`] for a truncated or broken one and for
    /// an index that names tensors which its shards lack.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let index = dir.join(INDEX);
        let expected = if index.is_file() { Some(read_index(&index)?) } else { None };
        let names = match &expected {
            Some(map) => map.values().cloned().collect::<BTreeSet<_>>().into_iter().collect(),
            None => vec![SINGLE.to_string()],
        };
        let (mut shards, mut places) = (Vec::new(), BTreeMap::new());
        for name in names {
            let shard = open_shard(dir.join(name))?;
            let tensors = parse(&shard)?;
            places.extend(tensors.names().into_iter().map(|tensor| (tensor.to_string(), shards.len())));
            shards.push(shard);
        }
        let lacking = expected.iter().flat_map(|map| map.keys()).find(|name| !places.contains_key(*name));
        if let Some(name) = lacking {
            let why = format!("it lists tensor `{name}`, which no shard contains");
            return Err(Error::malformed(&index, why, FETCH));
        }
        let unread = places.keys().cloned().collect();
        Ok(Self { shards, places, unread, dir: dir.to_path_buf() })
    }

    /// Tensors that nothing has read so far.
    pub fn unread(&self) -> impl Iterator<Item = &str> {
        self.unread.iter().map(String::as_str)
    }
}

impl Weights {
    /// What is on disk under `name`, through `make`; then its pages are given back, so that a checkpoint is never in
    /// memory beside the tensors made of it.
    fn read<T>(
        &mut self,
        name: &str,
        shape: &[usize],
        make: impl FnOnce(Dtype, &[u8]) -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        let Some(place) = self.places.get(name) else {
            return Err(Error::MissingTensor { dir: self.dir.clone(), name: name.to_string() });
        };
        let shard = &self.shards[*place];
        let tensors = parse(shard)?;
        let bad = |why: String| Error::malformed(&shard.path, why, FETCH);
        let tensor = tensors.tensor(name).map_err(|e| bad(format!("tensor `{name}`: {e}")))?;
        if tensor.shape() != shape {
            return Err(Error::WrongShape {
                path: shard.path.clone(),
                name: name.to_string(),
                expected: shape.to_vec(),
                found: tensor.shape().to_vec(),
            });
        }
        let (dtype, data) = (tensor.dtype(), tensor.data());
        let made = make(dtype, data)?
            .ok_or_else(|| bad(format!("tensor `{name}` is {dtype:?}, expected F32, F16, BF16 or F64")))?;
        shard.forget(data);
        self.unread.remove(name);
        Ok(made)
    }
}

impl Shard {
    /// Gives the pages of `data`, a part of the map, back to the system.
    #[allow(unsafe_code)]
    fn forget(&self, data: &[u8]) {
        #[cfg(unix)]
        {
            let offset = data.as_ptr() as usize - self.map.as_ptr() as usize;
            // SAFETY: the map is a read-only view of a file: pages that are read again come from the file again.
            // Advice that the system refuses changes nothing.
            let _ = unsafe {
                self.map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, offset, data.len())
            };
        }
        #[cfg(not(unix))]
        let _ = data;
    }
}

impl Source for Weights {
    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        self.read(name, shape, |dtype, data| Ok(bytes::convert(dtype, data, |v| v)))
    }

    fn data(&mut self, name: &str, shape: &[usize], precision: Precision) -> Result<TensorData, Error> {
        self.read(name, shape, |dtype, data| precision.keep_bytes(name, (dtype, data), shape))
    }

    fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }
}

#[allow(unsafe_code)]
fn open_shard(path: PathBuf) -> Result<Shard, Error> {
    let file = File::open(&path).map_err(Error::io(&path))?;
    // SAFETY: the map is read-only; as with every memory-mapped checkpoint, the file must not be
    // truncated by another process while it is open.
    let map = unsafe { Mmap::map(&file) }.map_err(Error::io(&path))?;
    check_extent(&path, &map)?;
    Ok(Shard { path, map })
}

fn parse(shard: &Shard) -> Result<SafeTensors<'_>, Error> {
    SafeTensors::deserialize(&shard.map)
        .map_err(|e| Error::malformed(&shard.path, format!("not a whole safetensors file: {e}"), FETCH))
}

/// Refuses headers whose sizes do not fit the file, before the parser adds them up
/// (safetensors 0.8 overflows on hostile sizes in builds with overflow checks).
fn check_extent(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let bad = |why: String| Error::malformed(path, why, FETCH);
    let Some(length) = bytes.first_chunk::<8>().map(|b| u64::from_le_bytes(*b)) else {
        return Err(bad(format!("{} bytes long, too short for a safetensors file", bytes.len())));
    };
    let rest = (bytes.len() - 8) as u64;
    if length > rest {
        return Err(bad(format!(
            "its header says {length} bytes, but only {rest} follow: the file is truncated"
        )));
    }
    let header = &bytes[8..8 + length as usize];
    let entries: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(header).map_err(|e| bad(format!("its header is not JSON: {e}")))?;
    let data = rest - length;
    for (name, entry) in entries.iter().filter(|(name, _)| *name != "__metadata__") {
        let end = entry["data_offsets"][1].as_u64();
        if end.is_none_or(|end| end > data) {
            let end = end.map_or("an unreadable offset".to_string(), |end| format!("byte {end}"));
            return Err(bad(format!("tensor `{name}` ends at {end} of {data}: the file is truncated")));
        }
    }
    Ok(())
}

fn read_index(path: &Path) -> Result<BTreeMap<String, String>, Error> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let text = std::fs::read_to_string(path).map_err(Error::io(path))?;
    let index: Index = serde_json::from_str(&text).map_err(|e| Error::malformed(path, e, FETCH))?;
    Ok(index.weight_map)
}
