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
#[cfg(test)]
pub(crate) mod sample;
mod style;
mod summary;
mod svg;
mod tables;
#[cfg(test)]
mod tests;

pub(crate) use data::{LayerRank, Provenance, RankMap, ReportData, TestScore};
pub(crate) use pictures::pictures;

/// The report as an HTML document that needs no other file.
///
/// Whatever the data holds, numbers that are not finite are left out of charts and shown as a dash in
/// tables, and text is escaped.
pub(crate) fn render(data: &ReportData) -> String {
    page::page(data)
}
