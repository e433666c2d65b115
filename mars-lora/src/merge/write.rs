//! Writes the directory of a merged model.

use super::options::{Direction, MergeOptions};
use super::pairing::Pairing;
use super::place::refuse_filled;
use super::update::Update;
use super::{Float, side_files};
use crate::Error;
use crate::files::NewDirectory;
use crate::stored::{INDEX, StoredTensor, TensorFile, header, io, place};
use serde::Serialize;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

/// Values that are in memory at a time.
const BLOCK: usize = 1 << 21;

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Merged {
    /// Tensors that the adapter changed.
    pub tensors: Vec<String>,
    /// Weight files written.
    pub files: Vec<String>,
    /// Other files taken over.
    pub copied: Vec<String>,
    /// Files and folders of the base that were left behind.
    pub left_out: Vec<String>,
    /// What the user should know of the files that were read.
    pub notes: Vec<String>,
}

/// Writes the base in `base` with the adapter in `adapter` merged into it as a new directory `out`.
///
/// The directory appears whole or not at all. A block of one tensor is in memory at a time, in f64. `observe` is
/// called with the bytes written so far and the bytes in all.
///
/// # Errors
/// [`Error::Partial`] with the names if the adapter does not fit; [`Error::Tied`] if it changes an embedding that is
/// the output layer as well, or such an output layer; [`Error::Variant`] for unmerging DoRA; [`Error::BadFile`] if a value does not
/// fit `dtype`, or DoRA would divide by zero; [`Error::Io`], also for an `out` that has something in it.
pub fn merge(
    adapter: &Path,
    base: &Path,
    out: &Path,
    options: &MergeOptions<'_>,
    observe: &mut dyn FnMut(u64, u64),
) -> Result<Merged, Error> {
    let pairing = Pairing::open(adapter, base, options.names)?;
    pairing.check_ties()?;
    if options.direction == Direction::Unmerge && pairing.adapter.config.use_dora {
        let why = "a merged DoRA adapter cannot be unmerged: the merged weight does not hold the norms \
                   that it was divided by; keep the base";
        return Err(Error::Variant { why: why.to_string() });
    }
    if options.direction == Direction::Unmerge && pairing.replaces() {
        let why = "an adapter that replaces whole tensors or rows of its base (modules_to_save, biases, tokens) cannot be \
                   unmerged: the merged weights do not hold what was there; keep the base";
        return Err(Error::Variant { why: why.to_string() });
    }
    refuse_filled(out)?;
    let staged = NewDirectory::beside(out).map_err(io(out))?;
    let merged = fill(&pairing, staged.path(), options, observe)?;
    staged.put().map_err(io(out))?;
    Ok(merged)
}

fn fill(
    pairing: &Pairing,
    out: &Path,
    options: &MergeOptions<'_>,
    observe: &mut dyn FnMut(u64, u64),
) -> Result<Merged, Error> {
    let mut merged = Merged { notes: pairing.notes(), ..Merged::default() };
    let plans: Vec<Vec<StoredTensor>> =
        pairing.base.files().iter().map(|file| plan(file, options.dtype)).collect();
    let total = plans.iter().flatten().map(StoredTensor::bytes).sum();
    let mut done = 0;
    for (index, (file, plan)) in pairing.base.files().iter().zip(&plans).enumerate() {
        let name = file.path.file_name().unwrap_or_default();
        let path = out.join(name);
        let mut writer = BufWriter::new(File::create(&path).map_err(io(&path))?);
        writer.write_all(&header(plan, file.metadata.as_ref())).map_err(io(&path))?;
        for (at, (from, to)) in file.tensors.iter().zip(plan).enumerate() {
            let update = pairing.update((index, at), options.direction)?;
            let replaced = pairing.replacement((index, at));
            if update.is_some() || replaced.is_some() {
                merged.tensors.push(from.name.clone());
            }
            let (file, from) = replaced.unwrap_or((file, from));
            let mut write = |bytes: &[u8]| {
                writer.write_all(bytes).map_err(io(&path))?;
                done += bytes.len() as u64;
                observe(done, total);
                Ok(())
            };
            copy(file, from, to, update.as_ref(), &mut write)?;
        }
        writer.flush().map_err(io(&path))?;
        merged.files.push(name.to_string_lossy().into_owned());
    }
    if let Some(index) = &pairing.base.shards.index {
        let mut index = index.clone();
        if let Some(metadata) = index.get_mut("metadata").and_then(serde_json::Value::as_object_mut) {
            metadata.insert("total_size".to_string(), total.into());
        }
        let path = out.join(INDEX);
        let text = serde_json::to_string_pretty(&index)
            .map_err(|e| Error::BadFile { path: path.clone(), why: e.to_string() })?;
        fs::write(&path, text).map_err(io(&path))?;
        merged.files.push(INDEX.to_string());
    }
    let copied = side_files::copy(pairing.base.shards.dir(), out, options)?;
    (merged.copied, merged.left_out) = (copied.taken, copied.left);
    Ok(merged)
}

/// The tensors of a file with their types and places in the new one.
fn plan(file: &TensorFile, dtype: Option<Float>) -> Vec<StoredTensor> {
    let mut end = 0;
    let plan = file.tensors.iter().map(|tensor| {
        let start = end;
        let (name, bytes) = match (tensor.float(), dtype) {
            (Some(_), Some(float)) => {
                (float.header_name().to_string(), (tensor.count() * float.size()) as u64)
            }
            _ => (tensor.dtype.clone(), tensor.bytes()),
        };
        end += bytes;
        StoredTensor { dtype: name, start, end, ..tensor.clone() }
    });
    plan.collect()
}

/// Copies one tensor block by block, changed and converted where asked.
fn copy(
    file: &TensorFile,
    from: &StoredTensor,
    to: &StoredTensor,
    update: Option<&Update>,
    write: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let (Some(old), Some(new)) = (from.float(), to.float()) else {
        return copy_bytes(file, from, write);
    };
    if update.is_none() && old == new {
        return copy_bytes(file, from, write);
    }
    let columns = update.map_or(1, |update| update.columns).max(1);
    let rows = from.count() / columns;
    let at_once = (BLOCK / columns).max(1);
    let (mut bytes, mut out) = (Vec::new(), Vec::new());
    for first in (0..rows).step_by(at_once) {
        let last = (first + at_once).min(rows);
        let byte = |row: usize| from.start + (row * columns * old.size()) as u64;
        file.read(byte(first), byte(last), &mut bytes)?;
        let mut values = old.decode(&bytes);
        if let Some(update) = update {
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                let (name, at) = (&from.name, place(first * columns + at, &from.shape));
                let why =
                    format!("tensor `{name}` holds a value at {at:?} that is not finite; take another base");
                return Err(Error::BadFile { path: file.path.clone(), why });
            }
            update.apply(first, &mut values);
            // Of finite factors and weights only DoRA makes others.
            if let Some(at) = values.iter().position(|value| !value.is_finite()) {
                let at = place(first * columns + at, &from.shape);
                let why = format!(
                    "tensor `{}` would hold a value at {at:?} that is not finite: weights and update of this row are zero \
                     together, and DoRA divides by their norm; take another base, or an adapter without DoRA",
                    from.name
                );
                return Err(Error::BadFile { path: file.path.clone(), why });
            }
        }
        out.clear();
        if !new.encode(&values, &mut out) {
            let why =
                format!("a value of tensor `{}` is too large for {new}; ask for bf16 or f32", from.name);
            return Err(Error::BadFile { path: file.path.clone(), why });
        }
        write(&out)?;
    }
    Ok(())
}

fn copy_bytes(
    file: &TensorFile,
    tensor: &StoredTensor,
    write: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut bytes = Vec::new();
    let block = (8 * BLOCK) as u64;
    let mut from = tensor.start;
    while from < tensor.end {
        let to = (from + block).min(tensor.end);
        file.read(from, to, &mut bytes)?;
        write(&bytes)?;
        from = to;
    }
    Ok(())
}
