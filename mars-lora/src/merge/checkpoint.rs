//! A checkpoint directory by the headers of its files.

use super::ModelNames;
use crate::peft::allowance::Allowance;
use crate::peft::canonical;
use crate::peft::python::PythonRegex;
use crate::stored::{Shards, StoredTensor, TensorFile};
use crate::{Error, Site, SiteKind};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// A Hugging Face directory: `model.safetensors`, or shards with their index.
#[derive(Debug)]
pub struct Checkpoint {
    pub(super) shards: Shards,
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
    /// Those of [`Shards::open`].
    pub fn open(dir: &Path) -> Result<Self, Error> {
        Ok(Self { shards: Shards::open(dir)? })
    }

    /// Its weight files.
    pub fn shards(&self) -> &Shards {
        &self.shards
    }

    /// What the user should know of the directory: which weights are read where it has them more than once.
    pub fn notes(&self) -> &[String] {
        self.shards.notes()
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
        self.files()
            .iter()
            .enumerate()
            .map(of)
            .flat_map(|(file, count)| (0..count).map(move |tensor| (file, tensor)))
            .map(|(file, tensor)| (file, tensor, &self.files()[file].tensors[tensor]))
    }

    pub(super) fn tensor(&self, placed: &Placed) -> &StoredTensor {
        &self.files()[placed.file].tensors[placed.tensor]
    }

    pub(super) fn files(&self) -> &[TensorFile] {
        &self.shards.files
    }

    /// Every weight of two dimensions or more as a site under its own name.
    ///
    /// A matrix is a linear layer, or an embedding if the adapter (`embeddings`) or its name says so; more
    /// dimensions are a convolution.
    /// Shapes on disk are PyTorch's: `[outputs, inputs]` of a linear layer, `[vocabulary, width]` of an
    /// embedding, `[outputs, channels, (frames,) height, width]` of a convolution.
    pub(super) fn sites(
        &self,
        names: &ModelNames,
        embeddings: &BTreeSet<String>,
    ) -> Result<Vec<Placed>, Error> {
        let mut allowance = Allowance::default();
        let patterns: Vec<(&str, PythonRegex)> = names
            .modules
            .iter()
            .map(|c| {
                Ok((c.name.as_str(), PythonRegex::tail(&c.pattern, allowance.of("pattern of a module"))?))
            })
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
            let mut module = "other";
            for (name, pattern) in &patterns {
                if pattern.matches(&path)? {
                    module = name;
                    break;
                }
            }
            let site = Site { kind, ..Site::linear(path, module, inputs, outputs) };
            all.push(Placed { site, file, tensor: index });
        }
        Ok(all)
    }
}
