//! What lies in a directory.

use anyhow::Result;
use std::{collections::BTreeMap, fs, path::Path};

/// All files under `directory` with their contents, by path; empty directories are left out. Without the file of the
/// lock, which names its last holder.
pub(crate) fn files(directory: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let mut all = BTreeMap::new();
    if directory.is_dir() {
        collect(directory, "", &mut all)?;
    }
    all.remove("mars.lock");
    Ok(all)
}

fn collect(directory: &Path, name: &str, all: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let own = entry.file_name().to_string_lossy().into_owned();
        let path = if name.is_empty() { own } else { format!("{name}/{own}") };
        if entry.file_type()?.is_dir() {
            collect(&entry.path(), &path, all)?;
        } else {
            all.insert(path, fs::read(entry.path())?);
        }
    }
    Ok(())
}

/// Paths whose contents differ, and those that only one of the two has.
pub(crate) fn differences(one: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    let mut paths: Vec<String> =
        one.keys().chain(other.keys()).filter(|path| one.get(*path) != other.get(*path)).cloned().collect();
    paths.sort();
    paths.dedup();
    paths
}
