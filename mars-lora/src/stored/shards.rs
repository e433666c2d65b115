//! The weight files of a model directory: `model.safetensors`, or shards with their index.
//!
//! As in `transformers`, the single file counts where both are there, and pickles never do.

use super::unique::Unique;
use super::{TensorFile, absent, foreign, io, quantised, regular};
use crate::Error;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The file of weights that are not divided.
pub(super) const SINGLE: &str = "model.safetensors";
/// The index of divided ones.
pub(crate) const INDEX: &str = "model.safetensors.index.json";
/// Weights in a format that is not read.
const PICKLES: [&str; 2] = ["pytorch_model.bin", "pytorch_model.bin.index.json"];
/// Longer indices are not read, bytes.
const LONGEST_INDEX: u64 = 64 << 20;

/// All weight files of a directory, open.
#[derive(Debug)]
pub struct Shards {
    dir: PathBuf,
    pub(crate) files: Vec<TensorFile>,
    /// The index of sharded weights.
    pub(crate) index: Option<Value>,
    notes: Vec<String>,
}

impl Shards {
    /// Opens the weights in `dir` and reads all headers.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::BadFile`] for files that are cut off, for an index that contradicts its shards, for two
    /// tensors of one name, and for weights in pickle format, which are not read.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let path = dir.join(INDEX);
        let bad = |why: String| Error::BadFile { path: path.clone(), why };
        let is_file = |path: &Path| regular::is_file(path).map_err(io(path));
        let (single, divided) = (dir.join(SINGLE), is_file(&path)?);
        if !divided
            && !regular::exists(&single).map_err(io(&single))?
            && let Some(cause) = absent::cause(dir)
        {
            return Err(cause);
        }
        let (index, map) = if divided && !is_file(&single)? {
            let (index, map) = read_index(&path)?;
            (Some(index), map)
        } else {
            (None, BTreeMap::new())
        };
        let names: BTreeSet<&str> = match &index {
            Some(_) => map.values().map(String::as_str).collect(),
            None => BTreeSet::from([SINGLE]),
        };
        let mut files = Vec::with_capacity(names.len());
        for name in names {
            let one = dir.join(name);
            if index.is_some() && !regular::exists(&one).map_err(io(&one))? {
                return Err(bad(format!("shard `{name}` is not in the folder; fetch or copy it as well")));
            }
            files.push(TensorFile::open(&one)?);
        }
        let mut all: BTreeMap<&str, &str> = BTreeMap::new();
        for file in &files {
            let name = file.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            for tensor in &file.tensors {
                if let Some(other) = all.insert(&tensor.name, name) {
                    return Err(bad(format!("tensor `{}` is in two files, {other} and {name}", tensor.name)));
                }
            }
        }
        let remedy = "the index and the files belong to different checkpoints; fetch them again together";
        for (tensor, shard) in &map {
            match all.get(tensor.as_str()) {
                Some(found) if found == shard => (),
                Some(found) => {
                    return Err(bad(format!("tensor `{tensor}` is in {found}, not in {shard}: {remedy}")));
                }
                None => {
                    let count = map.keys().filter(|name| !all.contains_key(name.as_str())).count();
                    return Err(bad(format!(
                        "it lists tensor `{tensor}`, which no shard contains ({count} such tensors): {remedy}"
                    )));
                }
            }
        }
        let mut beside: Vec<&str> = if divided && index.is_none() { vec![INDEX] } else { Vec::new() };
        for name in PICKLES {
            let path = dir.join(name);
            if regular::exists(&path).map_err(io(&path))? {
                beside.push(name);
            }
        }
        let mut notes = Vec::new();
        if !beside.is_empty() {
            let read = if index.is_some() { INDEX } else { SINGLE };
            notes.push(format!(
                "{} has the weights more than once: {read} is read, as transformers does, and {} is not; remove what is \
                 out of date",
                dir.display(),
                beside.join(", ")
            ));
        }
        Ok(Self { dir: dir.to_path_buf(), files, index, notes })
    }

    /// What the user should know of the directory: which weights are read where it has them more than once.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The files, in the order of their names.
    pub fn files(&self) -> &[TensorFile] {
        &self.files
    }

    /// The file and the tensor whose name `is` the one that is looked for.
    pub(crate) fn find(&self, is: impl Fn(&str) -> bool) -> Option<(usize, usize)> {
        let own = |file: &TensorFile| file.tensors.iter().position(|tensor| is(&tensor.name));
        self.files.iter().enumerate().find_map(|(n, file)| Some((n, own(file)?)))
    }

    /// The method by which the weights were quantised; none if they were not, as far as names and types show.
    pub fn quantised(&self) -> Option<&'static str> {
        quantised(
            self.files.iter().flat_map(|file| &file.tensors).map(|t| (t.name.as_str(), t.dtype.as_str())),
        )
    }

    /// The file that says which tensors there are: the index, or the only weight file.
    pub fn table_of_contents(&self) -> PathBuf {
        self.dir.join(if self.index.is_some() { INDEX } else { SINGLE })
    }
}

/// The whole index, and the file of each tensor.
fn read_index(path: &Path) -> Result<(Value, BTreeMap<String, String>), Error> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: Unique<String>,
    }
    let bad = |why: String| Error::BadFile { path: path.to_path_buf(), why };
    let remedy = "fetch or copy it again";
    let bytes = regular::read(path, LONGEST_INDEX).map_err(io(path))?;
    if let Some(other) = foreign(&bytes) {
        return Err(bad(other.to_string()));
    }
    let Index { weight_map: Unique(map) } =
        serde_json::from_slice(&bytes).map_err(|e| bad(format!("not an index of weights: {e}; {remedy}")))?;
    if map.is_empty() {
        return Err(bad(format!("its weight_map is empty; {remedy}")));
    }
    let outside = |name: &str| {
        let mut parts = Path::new(name).components();
        !matches!((parts.next(), parts.next()), (Some(std::path::Component::Normal(_)), None))
    };
    if let Some((_, name)) = map.iter().find(|(_, name)| outside(name)) {
        return Err(bad(format!("shard `{name}` is not a file of this folder")));
    }
    let index = serde_json::from_slice(&bytes).map_err(|e| bad(format!("not JSON: {e}; {remedy}")))?;
    Ok((index, map.into_iter().collect()))
}
