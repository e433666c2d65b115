//! Data sets of conversations about images: reading, checking and splitting them.

mod check;
mod content;
mod image;
mod item;
mod problem;
mod read;
mod report;
mod sample;
mod split;
mod store;

pub use check::{CheckOptions, check};
pub use image::RgbImage;
pub use problem::{Problem, ProblemKind};
pub use read::Dataset;
pub use report::{Lengths, Report};
pub use sample::{ImageRef, Origin, Part, Role, Sample, Turn};
pub use split::{Fractions, Split, split};
pub use store::ImageStore;
