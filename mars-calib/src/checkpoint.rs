//! States of unfinished runs, from which a trainer continues.
//!
//! A state belongs to a lineage (a spec without its number of steps) and a step, so that a longer run
//! continues from an earlier rung and a killed run from its last checkpoint, by the same rule.

use crate::{Error, RunId, files, format};
use mars_lora::files::NewDirectory;
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
};

/// The files of one state, by name.
pub type Files = BTreeMap<String, Vec<u8>>;

/// A state and the step it was taken at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Optimizer steps done.
    pub step: usize,
    /// The state.
    pub files: Files,
}

/// Keeps states of runs.
pub trait CheckpointStore: Send {
    /// Keeps `files` as the state of `lineage` ([`RunSpec::lineage`](crate::RunSpec::lineage)) after
    /// `step` steps; all of it or nothing. A state of other files takes the place of the one before.
    ///
    /// # Errors
    /// [`Error::Io`] when it cannot be written, [`Error::Corrupt`] for a file name with a path in it.
    fn save(&mut self, lineage: &RunId, step: usize, files: &Files) -> Result<(), Error>;

    /// The latest readable state of `lineage` at or below `step`, also where another process goes on with `lineage` meanwhile
    /// (on a local file system).
    ///
    /// # Errors
    /// [`Error::Io`] when the store cannot be read, [`Error::Corrupt`] for a state of a newer version; a damaged state is
    /// ignored.
    fn latest_at_or_below(&self, lineage: &RunId, step: usize) -> Result<Option<Checkpoint>, Error>;

    /// The step of the latest state of `lineage` at or below `step`, which may turn out to be damaged or gone when it is read.
    /// Where this is not overridden the state is read for it.
    ///
    /// # Errors
    /// As [`latest_at_or_below`](Self::latest_at_or_below).
    fn latest_step(&self, lineage: &RunId, step: usize) -> Result<Option<usize>, Error> {
        Ok(self.latest_at_or_below(lineage, step)?.map(|latest| latest.step))
    }

    /// Forgets the states of `lineage` before the last of `keep`, other than those in it. Later ones stay:
    /// a request for a shorter run must not remove the states of a longer one.
    ///
    /// # Errors
    /// [`Error::Io`] when they cannot be removed.
    fn prune(&mut self, lineage: &RunId, keep: &[usize]) -> Result<(), Error>;
}

/// Checkpoints in memory, for tests and throw-away runs.
#[derive(Clone, Debug, Default)]
pub struct MemoryCheckpoints(BTreeMap<(RunId, usize), Files>);

impl MemoryCheckpoints {
    fn latest(&self, lineage: &RunId, step: usize) -> Option<(usize, &Files)> {
        let latest = self.0.range((lineage.clone(), 0)..=(lineage.clone(), step)).next_back();
        latest.map(|((_, step), files)| (*step, files))
    }
}

impl CheckpointStore for MemoryCheckpoints {
    fn save(&mut self, lineage: &RunId, step: usize, files: &Files) -> Result<(), Error> {
        self.0.insert((lineage.clone(), step), files.clone());
        Ok(())
    }

    fn latest_at_or_below(&self, lineage: &RunId, step: usize) -> Result<Option<Checkpoint>, Error> {
        let latest = self.latest(lineage, step);
        Ok(latest.map(|(step, files)| Checkpoint { step, files: files.clone() }))
    }

    fn latest_step(&self, lineage: &RunId, step: usize) -> Result<Option<usize>, Error> {
        Ok(self.latest(lineage, step).map(|(step, _)| step))
    }

    fn prune(&mut self, lineage: &RunId, keep: &[usize]) -> Result<(), Error> {
        let last = keep.iter().copied().max().unwrap_or(usize::MAX);
        self.0.retain(|(of, step), _| of != lineage || *step > last || keep.contains(step));
        Ok(())
    }
}

/// Checkpoints in a directory: `<lineage>/step-<n>/`, each complete with a manifest of checksums.
/// A state is written aside and put in place by one rename; another that takes its place leaves it at `step-<n>-before` until that
/// is done. A state that does not match its manifest counts as
/// absent, so a run begins again at the one before it.
#[derive(Clone, Debug)]
pub struct DirectoryCheckpoints(PathBuf);

const MANIFEST: &str = "manifest.json";
/// What names end in while another state takes the place of theirs.
const ASIDE: &str = "-before";

impl DirectoryCheckpoints {
    /// A store in `directory`, which is made when first needed.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    fn place(&self, lineage: &RunId, step: usize) -> PathBuf {
        self.0.join(lineage.as_str()).join(format!("step-{step}"))
    }

    /// Where a state lies while another takes its place.
    fn aside(&self, lineage: &RunId, step: usize) -> PathBuf {
        self.0.join(lineage.as_str()).join(format!("step-{step}{ASIDE}"))
    }

    /// The steps at which there are states of `lineage`, ascending.
    fn steps(&self, lineage: &RunId) -> Result<Vec<usize>, Error> {
        let step = |path: &PathBuf| {
            let name = path.file_name()?.to_str()?.strip_prefix("step-")?;
            name.strip_suffix(ASIDE).unwrap_or(name).parse().ok()
        };
        let mut steps: Vec<usize> =
            files::list(&self.0.join(lineage.as_str()))?.iter().filter_map(step).collect();
        steps.sort_unstable();
        steps.dedup();
        Ok(steps)
    }
}

impl CheckpointStore for DirectoryCheckpoints {
    fn save(&mut self, lineage: &RunId, step: usize, content: &Files) -> Result<(), Error> {
        let place = self.place(lineage, step);
        if let Some(bad) = content.keys().find(|name| !is_plain(name)) {
            return Err(Error::Corrupt {
                path: place,
                why: format!("`{bad}` cannot name a checkpoint file"),
            });
        }
        // With the same files it is the same state: a run is a function of its spec.
        if read(&place)?.is_some_and(|before| before.keys().eq(content.keys())) {
            return Ok(());
        }
        let replaced = files::exists(&place)?;
        let write = || -> io::Result<()> {
            let staged = NewDirectory::beside(&place)?;
            let sums = content.iter().map(|(name, bytes)| (name.clone(), checksum(bytes))).collect();
            let manifest = serde_json::to_vec(&Manifest { version: format::VERSION, files: sums })?;
            let all =
                content.iter().map(|(name, bytes)| (name.as_str(), bytes)).chain([(MANIFEST, &manifest)]);
            for (name, bytes) in all {
                fs::write(staged.path().join(name), bytes)?;
            }
            if replaced { staged.replace(&self.aside(lineage, step)) } else { staged.put() }
        };
        write().map_err(Error::io("write the checkpoint", &place))
    }

    fn latest_at_or_below(&self, lineage: &RunId, step: usize) -> Result<Option<Checkpoint>, Error> {
        let mut unusable = BTreeSet::new();
        loop {
            // Listed anew: another process may have put a later state in the place of one that was about to be read.
            let mut there = self.steps(lineage)?.into_iter();
            let Some(at) = there.rfind(|at| *at <= step && !unusable.contains(at)) else { return Ok(None) };
            let (place, aside) = (self.place(lineage, at), self.aside(lineage, at));
            // A state that takes the place of another is there at last.
            for place in [&place, &aside, &place] {
                if let Some(files) = read(place)? {
                    return Ok(Some(Checkpoint { step: at, files }));
                }
            }
            unusable.insert(at);
        }
    }

    /// By the names of the states alone.
    fn latest_step(&self, lineage: &RunId, step: usize) -> Result<Option<usize>, Error> {
        Ok(self.steps(lineage)?.into_iter().rfind(|at| *at <= step))
    }

    fn prune(&mut self, lineage: &RunId, keep: &[usize]) -> Result<(), Error> {
        let last = keep.iter().copied().max().unwrap_or(usize::MAX);
        for step in self.steps(lineage)?.into_iter().filter(|step| *step <= last) {
            let (place, aside) = (self.place(lineage, step), self.aside(lineage, step));
            let is_kept = keep.contains(&step);
            // The only one of a kept step stays.
            if !is_kept || files::exists(&place)? {
                remove(&aside)?;
            }
            if !is_kept {
                remove(&place)?;
            }
        }
        Ok(())
    }
}

/// What a state consists of.
#[derive(Serialize, Deserialize)]
struct Manifest {
    version: u64,
    /// Checksum of each file.
    files: BTreeMap<String, String>,
}

impl Manifest {
    /// The checksums in a manifest; `None` if it is none. Manifests without a version are the checksums alone.
    fn sums(bytes: &[u8]) -> Option<BTreeMap<String, String>> {
        let versioned: Option<Self> = serde_json::from_slice(bytes).ok();
        versioned.map(|manifest| manifest.files).or_else(|| serde_json::from_slice(bytes).ok())
    }
}

/// The files of a state; `None` if any is missing or damaged.
///
/// # Errors
/// [`Error::Io`] when the system cannot read one: the state may be good. [`Error::Corrupt`] for one of a newer version.
fn read(place: &Path) -> Result<Option<Files>, Error> {
    let bytes = |name: &str| match files::read(&place.join(name), u64::MAX) {
        Err(Error::Corrupt { .. }) => Ok(None),
        read => read,
    };
    let Some(manifest) = bytes(MANIFEST)? else { return Ok(None) };
    format::check(&manifest, &place.join(MANIFEST))?;
    let Some(sums) = Manifest::sums(&manifest) else { return Ok(None) };
    let mut all = Files::new();
    for (name, sum) in sums {
        let file = if is_plain(&name) { bytes(&name)? } else { None };
        match file.filter(|bytes| checksum(bytes) == sum) {
            Some(bytes) => all.insert(name, bytes),
            None => return Ok(None),
        };
    }
    Ok(Some(all))
}

/// Removes a state, which another process may have removed already.
fn remove(place: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(place) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", place)(error)),
        _ => Ok(()),
    }
}

/// BLAKE3, 64 hexadecimal digits.
fn checksum(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

/// Whether `name` may name a file of a state: no path, not hidden, not the manifest.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != MANIFEST && !name.starts_with('.') && !name.contains(['/', '\\'])
}
