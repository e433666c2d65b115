//! The tensors of a checkpoint directory, mapped into memory and read by name.

use super::cause;
use super::precision::{Precision, convert};
use super::source::Source;
use crate::{Error, Misfit};
use burn::tensor::TensorData;
use mars_lora::stored::{Float, Shards, TensorFile, place};
use memmap2::Mmap;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Checkpoint tensors by name, read on demand as f32.
pub struct Weights {
    shards: Shards,
    maps: Vec<Mmap>,
    /// File of each tensor, and its index there.
    positions: BTreeMap<String, (usize, usize)>,
    unread: BTreeSet<String>,
}

impl Weights {
    /// Opens the checkpoint in `dir`, `model.safetensors` or shards with their index, and checks that its files are
    /// whole.
    ///
    /// # Errors
    /// [`Error::Io`] for a missing or unreadable file, [`Error::Weights`] for a truncated or broken one and for
    /// an index that contradicts its shards.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let shards = Shards::open(dir)?;
        let maps = shards.files().iter().map(map).collect::<Result<_, _>>()?;
        let mut positions = BTreeMap::new();
        for (file, shard) in shards.files().iter().enumerate() {
            positions.extend(shard.tensors().iter().enumerate().map(|(n, t)| (t.name.clone(), (file, n))));
        }
        let unread = positions.keys().cloned().collect();
        Ok(Self { shards, maps, positions, unread })
    }

    /// Tensors that nothing has read so far.
    pub fn unread(&self) -> impl Iterator<Item = &str> {
        self.unread.iter().map(String::as_str)
    }

    /// Makes sure that every tensor was read, except those that `spare` says the model does not use: a layer that is
    /// left over means that the model is not the one that the weights are of.
    ///
    /// # Errors
    /// [`Error::ExtraTensors`] with the names.
    pub fn check_all_read(&self, spare: impl Fn(&str) -> bool) -> Result<(), Error> {
        let names: Vec<String> = self.unread().filter(|name| !spare(name)).map(str::to_string).collect();
        if names.is_empty() {
            return Ok(());
        }
        let cause = self.quantised().unwrap_or_else(|| cause::of_extra(&names));
        Err(Error::ExtraTensors { path: self.shards.table_of_contents(), names, cause })
    }

    /// What is wrong if the weights are quantised.
    fn quantised(&self) -> Option<Misfit> {
        self.shards.quantised().map(Misfit::Quantised)
    }

    /// The tensor `name`, which must have this shape: its file and the bytes of its values.
    fn tensor(&self, name: &str, shape: &[usize]) -> Result<(Float, &TensorFile, &[u8]), Error> {
        let Some((file, index)) = self.positions.get(name).copied() else {
            return Err(Error::MissingTensor {
                path: self.shards.table_of_contents(),
                name: name.to_string(),
                expected: shape.to_vec(),
                cause: self
                    .quantised()
                    .unwrap_or_else(|| cause::of_missing(name, self.positions.keys().map(String::as_str))),
            });
        };
        let shard = &self.shards.files()[file];
        let tensor = &shard.tensors()[index];
        if tensor.shape != shape {
            return Err(Error::WrongShape {
                path: shard.path().to_path_buf(),
                name: name.to_string(),
                expected: shape.to_vec(),
                found: tensor.shape.clone(),
                cause: self.quantised().unwrap_or_else(|| cause::of_shape(name, shape, &tensor.shape)),
            });
        }
        let bad = |why: String| Error::Weights { path: shard.path().to_path_buf(), why };
        let float = tensor.float().ok_or_else(|| {
            let dtype = &tensor.dtype;
            let cause = self.quantised().unwrap_or(Misfit::OtherModel);
            bad(format!("tensor `{name}` is {dtype}, expected F32, F16, BF16 or F64; {cause}"))
        })?;
        shard.check_length()?;
        let (start, end) = (shard.data() + tensor.start, shard.data() + tensor.end);
        let bytes = self.maps[file].get(start as usize..end as usize);
        let bytes = bytes.ok_or_else(|| bad(format!("tensor `{name}` lies behind the end of the file")))?;
        Ok((float, shard, bytes))
    }
}

impl Weights {
    /// What is on disk under `name`, all of it finite, through `make`; then its pages are given back, so that a
    /// checkpoint is never in memory beside the tensors made of it.
    fn read<T>(
        &mut self,
        name: &str,
        shape: &[usize],
        make: impl FnOnce(Float, &[u8]) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (float, shard, bytes) = self.tensor(name, shape)?;
        let (mut total, mut count, mut first) = (0, 0, None);
        convert(float, bytes, |value| {
            if !value.is_finite() {
                count += 1;
                first = first.or(Some((total, value)));
            }
            total += 1;
        });
        if let Some((at, value)) = first {
            return Err(Error::NotFinite {
                path: shard.path().to_path_buf(),
                name: name.to_string(),
                value,
                at: place(at, shape),
                count,
                total,
            });
        }
        let made = make(float, bytes)?;
        if let Some((file, _)) = self.positions.get(name) {
            forget(&self.maps[*file], bytes);
        }
        self.unread.remove(name);
        Ok(made)
    }
}

/// Gives the pages of `part` of a map back to the system.
#[allow(unsafe_code)]
fn forget(map: &Mmap, part: &[u8]) {
    #[cfg(unix)]
    {
        let offset = part.as_ptr() as usize - map.as_ptr() as usize;
        // SAFETY: the map is a read-only view of a file: pages that are read again come from the file again. Advice
        // that the system refuses changes nothing.
        let _ = unsafe { map.unchecked_advise_range(memmap2::UncheckedAdvice::DontNeed, offset, part.len()) };
    }
    #[cfg(not(unix))]
    let _ = (map, part);
}

impl Source for Weights {
    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        self.read(name, shape, |float, data| Ok(convert(float, data, |v| v)))
    }

    fn data(&mut self, name: &str, shape: &[usize], precision: Precision) -> Result<TensorData, Error> {
        self.read(name, shape, |float, data| precision.keep_bytes(name, (float, data), shape))
    }

    fn contains(&self, name: &str) -> bool {
        self.positions.contains_key(name)
    }
}

/// The whole file in memory, read-only.
#[allow(unsafe_code)]
fn map(shard: &TensorFile) -> Result<Mmap, Error> {
    // SAFETY: the map is read-only; as with every memory-mapped checkpoint, the file must not be truncated by another
    // process while a tensor is read. Its length is looked at before each.
    unsafe { Mmap::map(shard.file()) }.map_err(Error::io(shard.path()))
}
