//! Data sets of Hugging Face in Parquet files: each row is a sample.
//!
//! The columns are the keys of the JSON forms: `messages`, `conversations` or `texts`, with `images` or `image`, whose
//! values are `{bytes, path}` or binary, `system` and `id`. Other columns are not read.

mod value;

use super::{
    blob::BlobWriter,
    format::misnamed,
    origin::{Origin, Unit},
    problem::{Problem, ProblemKind},
    record::{self, TURNS, UnusedKeys},
    sample::Sample,
    shards,
};
use crate::Error;
use mars_lora::stored::regular;
use parquet::{
    errors::ParquetError,
    file::reader::{FileReader, SerializedFileReader},
    record::reader::RowIter,
    schema::types::Type,
};
use serde_json::Value;
use std::{
    fs::File,
    io::{self, Read as _},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

/// Rows whose values are in memory together; images are large.
const ROWS: usize = 16;

/// Samples, rows that are none, and columns and keys that are not used.
type Read = (Vec<Sample>, Vec<Problem>, UnusedKeys);

/// The rows of the part `part`, or all, of the files at `path`.
///
/// # Errors
/// [`Error::Io`], and [`Error::Malformed`] for a file that is no Parquet or has no known column.
pub(crate) fn read(path: &Path, part: Option<&str>) -> Result<Read, Error> {
    let mut writer = BlobWriter::new()?;
    let mut all = Read::default();
    for file in shards::files(path, part)? {
        // The reader of the format promises no error for every broken file.
        let read = catch_unwind(AssertUnwindSafe(|| read_file(&file, &mut writer, &mut all)));
        read.unwrap_or_else(|_| Err(broken(&file, "its structure contradicts itself")))?;
    }
    Ok(all)
}

/// The error of a table of which a part cannot be read: the disk's, or that of its content.
fn failed(file: &Path, error: &ParquetError, content: impl FnOnce() -> Error) -> Error {
    let ParquetError::External(cause) = error else { return content() };
    match cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
        Some(code) => Error::io(file)(io::Error::from_raw_os_error(code)),
        None => content(),
    }
}

/// The error of a file that cannot be read as Parquet.
fn broken(file: &Path, why: impl ToString) -> Error {
    Error::malformed(file, format!("no readable Parquet: {}", why.to_string()), "download the file again")
}

/// The same of a file that has no structure of Parquet at all, with what it is instead if that is known.
fn unreadable(file: &Path, why: impl ToString) -> Error {
    let mut head = Vec::new();
    let read = File::open(file).and_then(|opened| opened.take(64).read_to_end(&mut head));
    match misnamed(&head).filter(|_| read.is_ok()) {
        Some((what, remedy)) => Error::malformed(file, format!("no Parquet but {what}"), remedy),
        None => broken(file, why),
    }
}

/// Appends the samples and problems of one file to `all`.
fn read_file(file: &Path, writer: &mut BlobWriter, all: &mut Read) -> Result<(), Error> {
    crate::foreign::check(file)?;
    let opened = regular::open(file).map_err(Error::io(file))?;
    let reader = SerializedFileReader::new(opened).map_err(|e| failed(file, &e, || unreadable(file, &e)))?;
    let metadata = reader.metadata().file_metadata();
    let columns = columns(file, metadata.schema())?;
    let (samples, problems, keys) = all;
    let passed_over = metadata.schema().get_fields().iter().filter(|field| !record::is_read(field.name()));
    passed_over
        .for_each(|field| keys.of_column(field.name(), usize::try_from(metadata.num_rows()).unwrap_or(0)));
    let rows = RowIter::from_file_into(Box::new(reader)).project(Some(columns));
    let rows = rows.map_err(|e| failed(file, &e, || broken(file, &e)))?.with_batch_size(ROWS);
    let shared: Arc<Path> = file.into();
    for (k, row) in rows.enumerate() {
        let row = row.map_err(|e| failed(file, &e, || broken(file, format!("row {}: {e}", k + 1))))?;
        let mut images = Vec::new();
        let object = value::object(&row, &mut images, writer)?;
        let index = samples.len() + problems.len();
        let origin = Origin { file: shared.clone(), unit: Unit::Row, line: k + 1, index };
        match parse(&object, origin, keys) {
            Ok(mut sample) => {
                let named = std::mem::take(&mut sample.images).into_iter();
                sample.images = named.map(|image| value::restore(image, &images)).collect();
                samples.push(sample);
            }
            Err(problem) => problems.push(*problem),
        }
    }
    Ok(())
}

/// One row as a sample.
fn parse(object: &Value, origin: Origin, keys: &mut UnusedKeys) -> Result<Sample, Box<Problem>> {
    if TURNS.iter().all(|name| object.get(name).is_none_or(record::is_absent)) {
        let (index, expected) = (origin.index, "a row with turns");
        let id = format!("item {index}");
        let remedy = "remove the row, or fill in its turns";
        return Err(Box::new(Problem::new(&origin, &id, ProblemKind::Format, expected, "null", remedy)));
    }
    record::parse(object, origin, keys)
}

/// The columns of `schema` that are read.
fn columns(file: &Path, schema: &Type) -> Result<Type, Error> {
    let fields = schema.get_fields();
    if !fields.iter().any(|field| TURNS.contains(&field.name())) {
        let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
        return Err(Error::malformed(
            file,
            format!("columns {names:?}, of which none is messages, conversations or texts"),
            "rename or convert the column with the turns",
        ));
    }
    let own = fields.iter().filter(|field| record::is_read(field.name())).cloned().collect();
    Type::group_type_builder(schema.name()).with_fields(own).build().map_err(|e| broken(file, e))
}
