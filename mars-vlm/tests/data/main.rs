//! Data files: both formats, images from everywhere, and every kind of bad input.
#![allow(clippy::unwrap_used, missing_docs)]

mod formats;
mod images;
mod kit;
mod report;
mod splits;
