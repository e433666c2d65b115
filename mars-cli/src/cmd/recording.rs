//! Recordings of tasks as files: JSON, compressed where the name ends in `.gz`.

use crate::{cmd::session::Session, drive, failure::Failure};
use anyhow::{Context as _, Result};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use mars_calib::{Convergence, RunId, RunRecord};
use mars_search::{Cost, Method, RecordedPoint, RecordedRun, Recording};
use std::{
    collections::BTreeMap,
    fs,
    io::{Read as _, Write as _},
    path::Path,
};

/// Every run of the campaign of `session` that was evaluated all along, by `method` where it had one, with the test
/// perplexities in `tested`.
pub(crate) fn of_campaign(
    session: &Session<'_>,
    seeds: u64,
    methods: &BTreeMap<RunId, Method>,
    tested: &BTreeMap<RunId, f64>,
    base_perplexity: f64,
) -> Result<Recording> {
    let config = session.config;
    let rule = session.config.rule()?;
    let run = |record: &RunRecord| {
        let alone = record.spec.ranks.len() < config.lora.modules.len();
        let (convergence, censored) = match alone.then(|| rule.of(record)) {
            Some(Convergence::Reached { step }) => (Some(rounded(step)), None),
            Some(Convergence::Censored { why }) => (None, Some(why.to_string())),
            None => (None, None),
        };
        RecordedRun {
            ranks: record.spec.ranks.clone(),
            samples: record.spec.samples,
            seed: record.spec.seed,
            horizon: record.spec.horizon,
            method: methods.get(&record.id).copied(),
            curve: curve(record),
            convergence,
            censored,
            end: drive::end(&record.end),
            cost: Cost { flops: record.flops, eval_flops: record.eval_flops, wall_s: rounded(record.wall_s) },
            test_perplexity: tested.get(&record.id).copied().filter(|value| value.is_finite()).map(rounded),
        }
    };
    let mut runs: Vec<RecordedRun> = session
        .campaign
        .records()
        .values()
        .filter(|record| record.spec.evaluate_from == 0 && !record.spec.stop_when_converged)
        .filter(|record| !is_beginning(record, session.campaign.records()))
        .map(run)
        .collect();
    runs.sort_by(|a, b| {
        let key = |run: &RecordedRun| (run.seed, run.method, run.samples, run.horizon, run.ranks.clone());
        key(a).cmp(&key(b))
    });
    let place =
        config.out.dir.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(Recording {
        task: place,
        space: config.space(session.workshop.parameters_per_rank(config)?),
        budget: config.budget(mars_lora::Examples::len(&session.workshop.train), config.train.seed),
        seeds,
        base_perplexity: rounded(base_perplexity),
        runs,
    })
}

/// Whether another record carries this one on.
fn is_beginning(record: &RunRecord, all: &BTreeMap<RunId, RunRecord>) -> bool {
    all.values().any(|other| other.spec.continues_from(&record.spec))
}

fn curve(record: &RunRecord) -> Vec<RecordedPoint> {
    let blocks: BTreeMap<usize, &Vec<f32>> =
        record.val_blocks.iter().map(|point| (point.step, &point.losses)).collect();
    let finite = record.val.iter().filter(|point| point.loss.is_finite());
    finite
        .map(|point| RecordedPoint {
            step: point.step,
            blocks: match blocks.get(&point.step) {
                Some(losses) => losses.iter().map(|loss| rounded(f64::from(*loss))).collect(),
                None => vec![rounded(point.loss)],
            },
        })
        .collect()
}

/// Four decimals: finer than any decision, and a third of the file.
fn rounded(value: f64) -> f64 {
    (1e4 * value).round() / 1e4
}

/// Writes a recording.
pub(crate) fn write(path: &Path, recording: &Recording) -> Result<()> {
    let failed = || format!("writing the recording {}", path.display());
    let json = serde_json::to_vec(recording).with_context(failed)?;
    let bytes = if is_gzip(path) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&json).with_context(failed)?;
        encoder.finish().with_context(failed)?
    } else {
        json
    };
    fs::write(path, bytes).with_context(failed)
}

/// Reads a recording.
///
/// # Errors
/// A failure of input that names the file, for one that is missing, not compressed as its name says, or no recording.
pub(crate) fn read(path: &Path) -> Result<Recording> {
    let wrong = |why: String| {
        Failure::input(format!(
            "{} is not a recording: {why}; `mars compare --record FILE.json.gz` writes one",
            path.display()
        ))
    };
    let bytes = fs::read(path).map_err(|error| wrong(error.to_string()))?;
    let json = if is_gzip(path) {
        let mut json = Vec::new();
        GzDecoder::new(&bytes[..]).read_to_end(&mut json).map_err(|error| wrong(error.to_string()))?;
        json
    } else {
        bytes
    };
    Ok(serde_json::from_slice(&json).map_err(|error| wrong(error.to_string()))?)
}

fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}
