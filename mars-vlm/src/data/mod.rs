//! Data sets of conversations about images: reading, checking and splitting them.
//!
//! [`Dataset::read`] turns a file of any [`Format`] into [`Sample`]s, which only name their images; an [`ImageStore`]
//! opens these by name, decodes them and knows their digests. [`check()`] finds every defect before anything is
//! trained, [`split()`] divides samples so that no image is in two parts, and [`fingerprint()`] identifies what was
//! trained on.
//!
//! One sample in each form that is read (a JSON list, a JSON object, JSON lines, or rows of a Parquet table):
//!
//! ```json
//! {"id": "a", "image": "cat.jpg", "conversations": [
//!     {"from": "human", "value": "<image>\nWhat is it?"}, {"from": "gpt", "value": "A cat."}]}
//! {"images": ["cat.jpg"], "messages": [
//!     {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]},
//!     {"role": "assistant", "content": "A cat."}]}
//! {"images": ["cat.jpg"], "texts": [{"user": "What is it?", "assistant": "A cat."}]}
//! ```
//!
//! They are LLaVA's, OpenAI's and the Cauldron's. ScienceQA is read as published: `problems.json` with the fields
//! `question`, `choices`, `answer` (the position of the right choice, from 0), `hint`, `image`, `lecture` and
//! `solution`, and `pid_splits.json`.
//!
//! Digests are BLAKE3 of contents, never of names: a renamed or copied image is the same image.

#[cfg(feature = "parquet")]
mod blob;
mod check;
mod content;
mod defects;
mod fingerprint;
mod foreign;
mod format;
mod histogram;
mod image;
mod json;
mod left_out;
mod noted;
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
mod text;

#[cfg(feature = "parquet")]
pub use blob::Blob;
pub use check::{CheckOptions, check};
pub use fingerprint::{Fingerprints, fingerprint, fingerprints};
pub use format::Format;
pub use histogram::{Bin, histogram};
pub use image::RgbImage;
pub use left_out::{LeaveOut, drop_too_long};
pub use origin::{Origin, Unit};
pub use problem::{Problem, ProblemKind};
pub use read::{Dataset, ReadOptions};
pub use record::UnusedKeys;
pub use report::{ImageSizes, Lengths, Report};
pub use sample::{ImageRef, Part, Role, Sample, Turn};
pub use science_qa::PromptFormat;
pub use split::{Fractions, Split, split};
pub use store::ImageStore;
