//! A checkpoint directory by the headers of its files.

use super::ModelNames;
use crate::peft::canonical;
use crate::peft::python::PythonRegex;
use crate::stored::{StoredTensor, TensorFile, io};
use crate::{Error, Site, SiteKind};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

const SINGLE: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";

/// A Hugging Face directory: `model.safetensors`, or shards with their index.
#[derive(Debug)]
pub struct Checkpoint {
    pub(super) dir: PathBuf,
    pub(super) files: Vec<TensorFile>,
    /// The index of sharded weights.
    pub(super) index: Option<Value>,
}

/// A module with a weight, and where that lies.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) site: Site,
    pub(super) file: usize,
    pub(super) tensor: usize,
}

impl Checkpoint {
    /// Opens the checkpoint in `dir` and reads all headers.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::BadFile`] for files that are cut off, for an index that contradicts its shards, and
    /// for two tensors of one name.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(INDEX);
        let bad = |why: String| Error::BadFile { path: path.clone(), why };
        let (index, names) = if path.is_file() {
            let text = std::fs::read_to_string(&path).map_err(io(&path))?;
            let index: Value = serde_json::from_str(&text).map_err(|e| bad(format!("not JSON: {e}")))?;
            let map = index.get("weight_map").and_then(Value::as_object);
            let map = map.ok_or_else(|| bad("it has no weight_map".to_string()))?;
            let shards: BTreeSet<String> =
                map.values().filter_map(Value::as_str).map(str::to_string).collect();
            if let Some(outside) = shards.iter().find(|name| Path::new(name).components().count() != 1) {
                return Err(bad(format!("shard `{outside}` is not a file of this directory")));
            }
            (Some(index), shards)
        } else {
            (None, BTreeSet::from([SINGLE.to_string()]))
        };
        let files =
            names.iter().map(|name| TensorFile::open(&dir.join(name))).collect::<Result<Vec<_>, _>>()?;
        let mut all = BTreeSet::new();
        for tensor in files.iter().flat_map(|file| &file.tensors) {
            if !all.insert(tensor.name.as_str()) {
                return Err(bad(format!("tensor `{}` is in two files", tensor.name)));
            }
        }
        if let Some(map) = index.as_ref().and_then(|index| index["weight_map"].as_object()) {
            let lacking: Vec<&str> =
                map.keys().map(String::as_str).filter(|name| !all.contains(name)).collect();
            if !lacking.is_empty() {
                return Err(bad(format!("tensors that no shard contains: {}", lacking.join(", "))));
            }
        }
        Ok(Self { dir: dir.to_path_buf(), files, index })
    }

    /// The own names of all modules with parameters.
    pub fn modules(&self, names: &ModelNames) -> Vec<String> {
        let modules =
            self.tensors().filter_map(|(_, _, t)| t.name.rsplit_once('.').map(|(module, _)| module));
        let own: BTreeSet<String> = modules.map(|module| canonical(module, &names.namings)).collect();
        own.into_iter().collect()
    }

    /// The name of each tensor, and its shape.
    pub fn shapes(&self) -> BTreeMap<&str, &[usize]> {
        self.tensors().map(|(_, _, tensor)| (tensor.name.as_str(), tensor.shape.as_slice())).collect()
    }

    pub(super) fn tensors(&self) -> impl Iterator<Item = (usize, usize, &StoredTensor)> {
        let of = |(file, all): (usize, &'_ TensorFile)| (file, all.tensors.len());
        self.files
            .iter()
            .enumerate()
            .map(of)
            .flat_map(|(file, count)| (0..count).map(move |tensor| (file, tensor)))
            .map(|(file, tensor)| (file, tensor, &self.files[file].tensors[tensor]))
    }

    pub(super) fn tensor(&self, placed: &Placed) -> &StoredTensor {
        &self.files[placed.file].tensors[placed.tensor]
    }

    /// Every weight of two dimensions or more as a site under its own name.
    ///
    /// A matrix is a linear layer, or an embedding if the adapter (`embeddings`) or its name says so; more
    /// dimensions are a convolution.
    pub(super) fn sites(
        &self,
        names: &ModelNames,
        embeddings: &BTreeSet<String>,
    ) -> Result<Vec<Placed>, Error> {
        let patterns: Vec<(&str, PythonRegex)> = names
            .components
            .iter()
            .map(|c| Ok((c.name.as_str(), PythonRegex::tail(&c.pattern)?)))
            .collect::<Result<_, Error>>()?;
        let mut all = Vec::new();
        for (file, index, tensor) in self.tensors() {
            let Some(module) = tensor.name.strip_suffix(".weight") else { continue };
            let path = canonical(module, &names.namings);
            let leaf = path.rsplit('.').next().unwrap_or(&path);
            let embedding = embeddings.contains(&path) || leaf.contains("embed") && !leaf.contains("proj");
            let (kind, inputs, outputs) = match tensor.shape[..] {
                [rows, columns] if embedding => (SiteKind::Embedding, rows, columns),
                [rows, columns] => (SiteKind::Linear, columns, rows),
                [outputs, channels, height, width] => {
                    (SiteKind::Convolution { channels, height, width }, channels * height * width, outputs)
                }
                // Frames of a patch lie between its channels and its rows, as more rows.
                [outputs, channels, frames, height, width] => {
                    let height = frames * height;
                    (SiteKind::Convolution { channels, height, width }, channels * height * width, outputs)
                }
                _ => continue,
            };
            let mut component = "other";
            for (name, pattern) in &patterns {
                if pattern.matches(&path)? {
                    component = name;
                    break;
                }
            }
            let site = Site { kind, ..Site::linear(path, component, inputs, outputs) };
            all.push(Placed { site, file, tensor: index });
        }
        Ok(all)
    }
}
