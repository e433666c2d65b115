//! Data sets of conversations about images: reading, checking and splitting them.
//!
//! [`Dataset::read`] turns a file of any [`Format`] into [`Sample`]s, which only name their images; an [`ImageStore`] opens
//! these by name, decodes them and knows their digests. [`check()`] finds every defect before anything is trained,
//! [`split()`] divides samples so that no image is in two parts, and [`fingerprint()`] identifies what was trained on.

#[cfg(feature = "parquet")]
mod blob;
mod check;
mod content;
mod defects;
mod fingerprint;
mod format;
mod histogram;
mod image;
mod origin;
#[cfg(feature = "parquet")]
mod parquet;
mod problem;
mod read;
mod record;
mod report;
mod sample;
mod science_qa;
mod shards;
mod split;
mod store;
mod too_long;

#[cfg(feature = "parquet")]
pub use blob::Blob;
pub use check::{CheckOptions, check};
pub use fingerprint::fingerprint;
pub use format::Format;
pub use histogram::{Bin, histogram};
pub use image::RgbImage;
pub use origin::{Origin, Unit};
pub use problem::{Problem, ProblemKind};
pub use read::{Dataset, ReadOptions};
pub use report::{ImageSizes, Lengths, Report};
pub use sample::{ImageRef, Part, Role, Sample, Turn};
pub use science_qa::PromptFormat;
pub use split::{Fractions, Split, split};
pub use store::ImageStore;
pub use too_long::drop_too_long;
