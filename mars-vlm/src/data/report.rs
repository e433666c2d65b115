//! The outcome of checking a data set.

use super::problem::Problem;
use serde::Serialize;
use std::path::PathBuf;

/// Distribution of a length over the samples, in tokens.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Lengths {
    /// Shortest.
    pub min: usize,
    /// Mean.
    pub mean: f64,
    /// Median (the lower one of an even number).
    pub median: usize,
    /// 95 of 100 samples are at most this long.
    pub p95: usize,
    /// Longest.
    pub max: usize,
    /// Over all samples.
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

/// What a check found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// The data file.
    pub file: PathBuf,
    /// The image folder or archive.
    pub images: PathBuf,
    /// Whether no problem was found.
    pub ok: bool,
    /// Items in the file, usable or not.
    pub samples: usize,
    /// Samples without an image.
    pub text_only: usize,
    /// Images that samples name, repetitions counted.
    pub image_uses: usize,
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
    /// Length of the whole sequence, if a processor was given.
    pub tokens: Option<Lengths>,
    /// Of them, tokens that image features replace.
    pub image_tokens: Option<Lengths>,
    /// Of them, tokens that the model must generate.
    pub answer_tokens: Option<Lengths>,
}
