//! An adapter directory as it is on disk, before it is matched with a model.

use super::keys::{self, Part};
use super::{PeftConfig, WEIGHTS_FILE};
use crate::Error;
use crate::stored::{StoredTensor, TensorFile};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Weights in a format that is not read.
const PICKLE: &str = "adapter_model.bin";

/// The tensors of one module, by their places in the file.
#[derive(Clone, Debug, Default)]
pub(super) struct Module {
    pub(super) parts: BTreeMap<Part, usize>,
}

impl Module {
    /// Whether it is an embedding by the names of its tensors.
    pub(super) fn is_embedding(&self) -> bool {
        self.parts.contains_key(&Part::EmbeddingA) || self.parts.contains_key(&Part::EmbeddingB)
    }
}

/// An adapter directory with its configuration read and its weights open.
#[derive(Debug)]
pub struct AdapterFiles {
    pub(super) path: PathBuf,
    /// The configuration.
    pub config: PeftConfig,
    pub(super) weights: TensorFile,
    /// By the name in the file.
    pub(super) modules: BTreeMap<String, Module>,
    notes: Vec<String>,
}

impl AdapterFiles {
    /// Opens the adapter in `dir`.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::BadFile`] for a broken file, for tensors that belong to no LoRA module, and for
    /// weights in pickle format, which are not read.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let config = PeftConfig::read(dir)?;
        let path = dir.join(WEIGHTS_FILE);
        let bad = |why: String| Error::BadFile { path: path.clone(), why };
        if !path.exists() && dir.join(PICKLE).exists() {
            return Err(bad(
                "only adapter_model.bin is here, a pickle, which can run code and is not read; \
                 load it with PEFT and call save_pretrained(dir, safe_serialization=True)"
                    .to_string(),
            ));
        }
        let weights = TensorFile::open(&path)?;
        let mut modules: BTreeMap<String, Module> = BTreeMap::new();
        let (mut strange, mut adapter) = (Vec::new(), None);
        for (index, tensor) in weights.tensors.iter().enumerate() {
            let Some(key) = keys::parse(&tensor.name) else {
                strange.push(tensor.name.as_str());
                continue;
            };
            if *adapter.get_or_insert(key.adapter) != key.adapter {
                let found =
                    [adapter.flatten(), key.adapter].map(|name| name.unwrap_or("(no name)")).join("` and `");
                return Err(bad(format!(
                    "it holds several adapters, `{found}`; save one of them on its own"
                )));
            }
            let module = modules.entry(key.module.to_string()).or_default();
            if module.parts.insert(key.part, index).is_some() {
                return Err(bad(format!("two tensors are {:?} of `{}`", key.part, key.module)));
            }
        }
        if !strange.is_empty() {
            let copies = strange
                .iter()
                .any(|name| name.ends_with("embed_tokens.weight") || name.contains("base_layer"));
            let hint = if copies {
                "; whole weights of the base are no part of a LoRA: save the adapter with save_embedding_layers=False"
            } else {
                ""
            };
            return Err(bad(format!("tensors that are no LoRA factors: {}{hint}", strange.join(", "))));
        }
        let mut notes = Vec::new();
        if dir.join(PICKLE).exists() {
            notes.push(format!(
                "{} has the adapter twice: {WEIGHTS_FILE} is read, as PEFT does, and {PICKLE} is not; remove what is out \
                 of date",
                dir.display()
            ));
        }
        Ok(Self { path: dir.to_path_buf(), config, weights, modules, notes })
    }

    /// What the user should know of the directory: which weights are read where it has them more than once.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The module names of the file.
    pub fn module_names(&self) -> impl Iterator<Item = &str> {
        self.modules.keys().map(String::as_str)
    }

    /// The module names of the file whose factors are an embedding's.
    pub fn embedding_names(&self) -> impl Iterator<Item = &str> {
        self.modules.iter().filter(|(_, module)| module.is_embedding()).map(|(name, _)| name.as_str())
    }

    pub(super) fn tensor(&self, module: &Module, part: Part) -> Option<&StoredTensor> {
        module.parts.get(&part).map(|index| &self.weights.tensors[*index])
    }
}
