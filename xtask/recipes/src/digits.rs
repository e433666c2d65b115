//! The embedded task: pictures of real handwritten digits, questions about them, and all files of the
//! tiny model except its weights.

pub mod canvas;
pub mod downstream;
pub mod model_files;
pub mod question;
pub mod source;
pub mod stream;
pub mod task;
pub mod words;

use std::path::Path;

use anyhow::{Context, Result};

use source::Digits;

/// Writes `assets/digits` and, but for the weights, `assets/model`.
///
/// # Errors
/// When a file cannot be written.
pub fn write(assets: &Path) -> Result<()> {
    downstream::write(&Digits::load()?, &task::EMBEDDED, &assets.join("digits"))?;
    model_files::write(&assets.join("model"))
}

/// Writes the tasks of the comparison suite and the long ones, each with a `mars.toml`, into directories of `place`.
///
/// # Errors
/// When a file cannot be written.
pub fn write_suite(place: &Path) -> Result<()> {
    let digits = Digits::load()?;
    for task in task::SUITE.iter().chain(&task::LONG) {
        let directory = place.join(task.name);
        downstream::write(&digits, task, &directory)?;
        let text = directory.to_str().with_context(|| format!("{} is not UTF-8", directory.display()))?;
        crate::write_file(&directory.join("mars.toml"), task.configuration(text).as_bytes())?;
    }
    Ok(())
}
