//! The outcome of checking a data set.

use super::problem::lossy;
use super::{histogram::Bin, image::Header, problem::Problem, record::UnusedKeys};
use serde::Serialize;
use std::path::PathBuf;

/// Distribution of a length: of samples in tokens, of images in pixels or bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lengths {
    /// Shortest.
    pub min: usize,
    /// Mean.
    pub mean: f64,
    /// Median (the lower one of an even number).
    pub median: usize,
    /// 95 of 100 are at most this long.
    pub p95: usize,
    /// Longest.
    pub max: usize,
    /// Over all.
    pub sum: usize,
}

impl Lengths {
    /// The distribution of `values`; `None` if there are none.
    pub fn new(mut values: Vec<usize>) -> Option<Self> {
        values.sort_unstable();
        let rank = |share: f64| values[((share * values.len() as f64).ceil() as usize).saturating_sub(1)];
        let (&min, &max) = (values.first()?, values.last()?);
        let sum = values.iter().sum();
        let mean = sum as f64 / values.len() as f64;
        Some(Self { min, mean, median: rank(0.5), p95: rank(0.95), max, sum })
    }
}

/// The images that could be read, each counted once however many samples it has.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ImageSizes {
    /// Their number.
    pub count: usize,
    /// Width in pixels.
    pub width: Lengths,
    /// Height in pixels.
    pub height: Lengths,
    /// Length of the encoded image, in bytes.
    pub bytes: Lengths,
}

impl ImageSizes {
    /// The sizes in `headers`; `None` if there are none.
    pub(super) fn new<'a>(headers: impl Iterator<Item = &'a Header> + Clone) -> Option<Self> {
        let of = |length: fn(&Header) -> usize| Lengths::new(headers.clone().map(length).collect());
        Some(Self {
            count: headers.clone().count(),
            width: of(|header| header.size.0)?,
            height: of(|header| header.size.1)?,
            bytes: of(|header| header.bytes)?,
        })
    }
}

/// What a check found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The data file.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// The image folder or archive.
    #[serde(serialize_with = "lossy")]
    pub images: PathBuf,
    /// Whether the data can be used: no problem was found, or only in samples that are left out.
    pub ok: bool,
    /// Items in the file, usable or not.
    pub samples: usize,
    /// Of them, those with a problem.
    pub bad_samples: usize,
    /// Of these, those that are left out.
    pub left_out: usize,
    /// Samples without an image.
    pub text_only: usize,
    /// Images that samples name, repetitions counted.
    pub image_uses: usize,
    /// Sizes of the images, if any could be read.
    pub image_sizes: Option<ImageSizes>,
    /// Answers over all samples.
    pub answers: usize,
    /// The first problems, in the order of the file.
    pub problems: Vec<Problem>,
    /// Number of problems, kept or not.
    pub problem_count: usize,
    /// The first oddities that stop nothing.
    pub warnings: Vec<Problem>,
    /// Number of oddities, kept or not.
    pub warning_count: usize,
    /// Keys of the file that nothing here reads.
    pub unused: UnusedKeys,
    /// Length of the whole sequence, also of samples that are too long, if a processor was given.
    pub tokens: Option<Lengths>,
    /// The same as a histogram; empty without a processor.
    pub token_histogram: Vec<Bin>,
    /// Of them, tokens that image features replace.
    pub image_tokens: Option<Lengths>,
    /// Of them, tokens that the model must generate.
    pub answer_tokens: Option<Lengths>,
}
