//! The report of a search: one self-contained HTML page with its charts as inline SVG.

mod axis;
mod balance;
mod calibration;
mod chart;
mod data;
mod final_run;
mod laws;
mod number;
mod page;
mod perplexity;
mod pictures;
mod price;
mod race;
mod ranks;
mod registered;
#[cfg(test)]
pub(crate) mod sample;
mod style;
mod summary;
mod svg;
mod tables;
#[cfg(test)]
mod tests;

pub use data::{LayerRank, Provenance, RankMap, ReportData, TestScore};
pub use pictures::{Picture, pictures};

use crate::{Error, files};
use mars_lora::stored::regular;
use std::path::{Path, PathBuf};

/// Writes the report of the finished search in `directory` again, and every chart as an SVG file into `svg`. Returns the
/// page and the pictures.
///
/// # Errors
/// An error of input when the directory holds no finished search or its `report.json` is damaged; a full disk.
pub fn rewrite(directory: &Path, svg: Option<&Path>) -> Result<(PathBuf, Vec<PathBuf>), Error> {
    let source = directory.join("report.json");
    let text = regular::read_text(&source, u64::MAX).map_err(|error| {
        let stated = Error::input(format!("{} holds no finished search", directory.display()));
        Error::reading(&source, error, stated)
    })?;
    let data: ReportData = serde_json::from_str(&text).map_err(|error| {
        Error::input(format!("{} is damaged; run the search again", source.display())).because(error)
    })?;
    let page = directory.join("report.html");
    files::write(&page, render(&data).as_bytes())?;
    let mut written = Vec::new();
    if let Some(directory) = svg {
        files::create_directories(directory)?;
        for (name, picture) in pictures(&data) {
            let path = directory.join(format!("{name}.svg"));
            files::write(&path, picture.as_bytes())?;
            written.push(path);
        }
    }
    Ok((page, written))
}

/// The report as an HTML document that needs no other file.
///
/// Whatever the data holds, numbers that are not finite are left out of charts and shown as a dash in
/// tables, and text is escaped.
pub fn render(data: &ReportData) -> String {
    page::page(data)
}
