//! Validating every sample of a data set before anything is trained.

use super::{
    histogram::histogram,
    image::Header,
    left_out::LeaveOut,
    problem::{Problem, ProblemKind},
    read::{Dataset, ReadOptions},
    report::{ImageSizes, Lengths, Report},
    sample::{ImageRef, Sample},
    store::ImageStore,
};
use crate::{
    Error,
    processor::{Processor, TokenCount},
};
use rayon::prelude::*;
use std::{
    collections::{HashMap, HashSet},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

/// What to check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckOptions {
    /// Problems (and warnings) to keep; all are counted. Default 20.
    pub keep: usize,
    /// Decode every image to the end, not only its header. Default true.
    pub decode: bool,
    /// How the data set is read.
    pub read: ReadOptions,
    /// Which unusable samples are left out, so that the others can be used. Default none.
    pub leave_out: LeaveOut,
}

impl Default for CheckOptions {
    fn default() -> Self {
        Self { keep: 20, decode: true, read: ReadOptions::default(), leave_out: LeaveOut::default() }
    }
}

/// Checks every record of `file`: its form, the order of roles, empty answers, image placeholders, that
/// images exist and decode, and with a `processor` that the sequence fits the model.
///
/// Images, each of them once, and then samples are checked on all threads of the current rayon pool; `progress` is
/// called with the number of both that are done and their total, from any of them.
///
/// # Errors
/// Only if the file itself cannot be read: [`Error::Io`], [`Error::Malformed`]. Everything else
/// is in the report.
pub fn check(
    file: &Path,
    store: &ImageStore,
    processor: Option<&Processor>,
    options: &CheckOptions,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Report, Error> {
    let (data, mut problems) = Dataset::read_all(file, &options.read)?;
    let done = AtomicUsize::new(0);
    let images: HashSet<&ImageRef> = data.samples.iter().flat_map(|sample| &sample.images).collect();
    let total = images.len() + data.samples.len();
    let step = || progress(done.fetch_add(1, Ordering::Relaxed) + 1, total);
    let headers: HashMap<&ImageRef, Header> = images
        .into_par_iter()
        .filter_map(|image| {
            let header = header(store, image, options);
            step();
            // An unreadable image is reported with each of its samples.
            Some((image, header.ok()?))
        })
        .collect();
    let findings: Vec<Finding> = data
        .samples
        .par_iter()
        .map(|sample| {
            let finding = examine(sample, store, &headers, processor, options);
            step();
            finding
        })
        .collect();
    let samples = data.samples.len() + problems.len();
    let mut warnings = duplicates(&data.samples);
    let mut counts = Vec::with_capacity(samples);
    for finding in findings {
        problems.extend(finding.problems);
        warnings.extend(finding.warnings);
        counts.extend(finding.count);
    }
    problems.sort_by_key(|problem| problem.index);
    warnings.sort_by_key(|problem| problem.index);
    let (problem_count, warning_count) = (problems.len(), warnings.len());
    let bad = bad_samples(&problems, options.leave_out);
    let left_out = bad.values().filter(|covered| **covered).count();
    problems.truncate(options.keep);
    warnings.truncate(options.keep);
    let lengths = |length: fn(&TokenCount) -> usize| Lengths::new(counts.iter().map(length).collect());
    let totals: Vec<usize> = counts.iter().map(|count| count.total).collect();
    Ok(Report {
        file: data.file.to_path_buf(),
        images: store.path().to_path_buf(),
        ok: left_out == bad.len() && (left_out == 0 || left_out < samples),
        samples,
        bad_samples: bad.len(),
        left_out,
        text_only: data.samples.iter().filter(|sample| sample.images.is_empty()).count(),
        image_uses: data.samples.iter().map(|sample| sample.images.len()).sum(),
        answers: data.samples.iter().map(|sample| sample.answers().count()).sum(),
        image_sizes: ImageSizes::new(headers.values()),
        problems,
        problem_count,
        warnings,
        warning_count,
        unused: data.unused,
        token_histogram: histogram(&totals),
        tokens: Lengths::new(totals),
        image_tokens: lengths(|count| count.image),
        answer_tokens: lengths(|count| count.answer),
    })
}

/// The samples with problems, by position, and whether each is left out: for the first of them, as by
/// [`LeaveOut::divide`].
fn bad_samples(problems: &[Problem], which: LeaveOut) -> HashMap<usize, bool> {
    let mut bad: HashMap<usize, bool> = HashMap::new();
    for problem in problems {
        bad.entry(problem.index).or_insert_with(|| which.covers(problem.kind));
    }
    bad
}

/// What was found in one sample.
struct Finding {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    count: Option<TokenCount>,
}

/// Checks one sample; `headers` are those of the images that can be used.
fn examine(
    sample: &Sample,
    store: &ImageStore,
    headers: &HashMap<&ImageRef, Header>,
    processor: Option<&Processor>,
    options: &CheckOptions,
) -> Finding {
    let mut finding = Finding { problems: sample.problems(), warnings: Vec::new(), count: None };
    let renderable = finding.problems.is_empty();
    let mut sizes = Vec::with_capacity(sample.images.len());
    for image in &sample.images {
        match headers.get(image).map_or_else(|| header(store, image, options), |header| Ok(*header)) {
            Ok(header) => {
                sizes.push(header.size);
                if header.deep_grey {
                    finding.warnings.push(Problem::new(
                        &sample.origin,
                        &sample.id,
                        ProblemKind::ImageDepth,
                        "images of 8 bits",
                        format!("{image}, whose values above 255 will all be white"),
                        "convert it to 8 bits",
                    ));
                }
            }
            Err(e) => finding.problems.push(named(sample, e)),
        }
    }
    if let Some(processor) = processor.filter(|_| renderable && sizes.len() == sample.images.len()) {
        match processor.count_of_any_length(sample, &sizes) {
            Ok((count, too_long)) => {
                finding.count = Some(count);
                finding.problems.extend(too_long.map(|e| named(sample, e)));
            }
            Err(e) => finding.problems.push(named(sample, e)),
        }
    }
    finding
}

/// The header of an image that can be used.
fn header(store: &ImageStore, image: &ImageRef, options: &CheckOptions) -> Result<Header, Error> {
    let header = store.header(image)?;
    if options.decode {
        store.load(image)?;
    }
    Ok(header)
}

/// An error about an image or the text of `sample`, as a problem.
fn named(sample: &Sample, e: Error) -> Problem {
    sample.defect(e).unwrap_or_else(|e| sample.unavailable(&e))
}

/// A warning for each sample whose id an earlier one has.
fn duplicates(samples: &[Sample]) -> Vec<Problem> {
    let mut seen: HashMap<&str, &Sample> = HashMap::with_capacity(samples.len());
    let mut twice = Vec::new();
    for sample in samples {
        match seen.get(sample.id.as_str()) {
            Some(first) => twice.push(Problem::new(
                &sample.origin,
                &sample.id,
                ProblemKind::DuplicateId,
                "ids that occur once",
                format!("that of {} {}", first.origin.unit, first.origin.line),
                "rename one; results per sample cannot be told apart",
            )),
            None => drop(seen.insert(&sample.id, sample)),
        }
    }
    twice
}
