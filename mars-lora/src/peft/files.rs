//! An adapter directory as it is on disk, before it is matched with a model.

use super::keys::{self, Part};
use super::whole::{Whole, is_in};
use super::{CONFIG_FILE, PeftConfig, WEIGHTS_FILE};
use crate::Error;
use crate::stored::{StoredTensor, TensorFile, io, regular};
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
    pub(crate) weights: TensorFile,
    /// By the name in the file.
    pub(super) modules: BTreeMap<String, Module>,
    pub(crate) whole: Vec<Whole>,
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
        let exists = |path: &Path| regular::exists(path).map_err(io(path));
        let pickle = exists(&dir.join(PICKLE))?;
        if pickle && !exists(&path)? {
            return Err(bad(
                "only adapter_model.bin is here, a pickle, which can run code and is not read; \
                 load it with PEFT and call save_pretrained(dir, safe_serialization=True)"
                    .to_string(),
            ));
        }
        let weights = TensorFile::open(&path)?;
        let mut modules: BTreeMap<String, Module> = BTreeMap::new();
        let (mut strange, mut whole, mut adapter) = (Vec::new(), Vec::new(), None);
        for (index, tensor) in weights.tensors.iter().enumerate() {
            let Some(key) = keys::parse(&tensor.name) else {
                match Whole::parse(&tensor.name, index, &config) {
                    Some(one) => whole.push(one),
                    None => strange.push(tensor.name.as_str()),
                }
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
            return Err(bad(format!("tensors that are no LoRA factors: {}", strange.join(", "))));
        }
        promised(&config, &modules, &whole)
            .map_err(|why| Error::BadFile { path: dir.join(CONFIG_FILE), why })?;
        let mut notes = Vec::new();
        if pickle {
            notes.push(format!(
                "{} has the adapter twice: {WEIGHTS_FILE} is read, as PEFT does, and {PICKLE} is not; remove what is out \
                 of date",
                dir.display()
            ));
        }
        Ok(Self { path: dir.to_path_buf(), config, weights, modules, whole, notes })
    }

    /// What the user should know of the directory: which weights are read where it has them more than once.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The place in the file of the bias of B of a module (`lora_bias`).
    pub(crate) fn bias_of(&self, module: &str) -> Option<usize> {
        self.modules.get(module)?.parts.get(&Part::BiasB).copied()
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

/// Makes sure that the file has what the configuration says was trained beside the factors.
///
/// # Errors
/// A message with the field, and what to do.
fn promised(config: &PeftConfig, modules: &BTreeMap<String, Module>, whole: &[Whole]) -> Result<(), String> {
    let lost = |name: &&String| !whole.iter().any(|one| is_in(&one.module, name));
    let lost: Vec<&str> = config.saved().iter().filter(lost).map(String::as_str).collect();
    if !lost.is_empty() {
        return Err(format!(
            "modules_to_save names modules of which the file has no tensors: {}; save the adapter again, or remove \
             them from the list if they were not trained",
            lost.join(", ")
        ));
    }
    if config.trains_biases() && !whole.iter().any(|one| one.leaf == "bias") {
        return Err(format!(
            "bias is \"{}\", but the file has no biases, as some versions of PEFT write it: they are lost, and PEFT \
             loads the adapter without them; to do so here as well, set bias to \"none\"",
            config.bias()
        ));
    }
    if config.lora_bias && !modules.values().any(|module| module.parts.contains_key(&Part::BiasB)) {
        return Err("lora_bias is true, but the file has no biases of B; save the adapter again".to_string());
    }
    if config.trains_tokens() && !whole.iter().any(|one| one.rows.is_some()) {
        let what = "trainable_token_indices is set, but the file has no such rows; save the adapter again";
        return Err(what.to_string());
    }
    Ok(())
}
