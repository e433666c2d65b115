//! Data files: both formats, images from everywhere, and every kind of bad input.
#![allow(clippy::unwrap_used, missing_docs)]

mod formats;
mod images;
mod kit;
mod long;
#[cfg(feature = "parquet")]
mod parquet;
mod report;
mod science_qa;
mod splits;
mod texts;
