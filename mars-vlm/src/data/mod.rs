//! Data sets of conversations about images: reading, checking and splitting them.

mod check;
mod content;
mod fitting;
mod format;
mod histogram;
mod image;
mod item;
#[cfg(feature = "parquet")]
mod parquet;
mod problem;
mod read;
mod report;
mod sample;
mod science_qa;
mod shards;
mod split;
mod store;

pub use check::{CheckOptions, check};
pub use fitting::fitting;
pub use format::Format;
pub use histogram::{Bin, histogram};
pub use image::RgbImage;
#[cfg(feature = "parquet")]
pub use parquet::Blob;
pub use problem::{Problem, ProblemKind};
pub use read::{Dataset, ReadOptions};
pub use report::{ImageSizes, Lengths, Report};
pub use sample::{ImageRef, Origin, Part, Role, Sample, Turn, Unit};
pub use science_qa::PromptFormat;
pub use split::{Fractions, Split, split};
pub use store::ImageStore;
