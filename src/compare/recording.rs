//! Recordings of tasks: made of a campaign, written and read as JSON, compressed where the name ends in `.gz`.

use super::Measured;
use crate::{
    Error, files,
    search::{Session, convergence_time, kept_earlier, trial_end},
};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use mars_calib::{Keep, RunEnd, RunId, RunRecord, RunSpec};
use mars_lora::stored::regular;
use mars_search::{Cost, Method, RecordedPoint, RecordedRun, Recording};
use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
    path::Path,
};

/// Every run of the campaign that was evaluated at all its evaluation steps, with its test perplexity where it was measured;
/// calibration runs that ended once their convergence was certain among them. What was asked for by several methods is there for each.
pub(super) fn of_campaign<M, E>(
    session: &Session<'_, M, E>,
    seeds: u64,
    measured: &Measured,
    base_perplexity: f64,
) -> Recording {
    let config = &session.config;
    let rule = config.rule();
    let run = |record: &RunRecord, method: Option<Method>| {
        let alone = record.spec.ranks.len() < config.lora.modules.len();
        let (convergence, censored) = if alone { convergence_time(&*rule, record) } else { (None, None) };
        let tested = measured.tested.get(&record.id).copied();
        RecordedRun {
            ranks: record.spec.ranks.clone(),
            samples: record.spec.samples,
            seed: record.spec.seed,
            horizon: record.spec.horizon,
            method,
            curve: curve(record),
            train: train(record, session.budget.samples),
            stopped: record.end == RunEnd::Converged,
            over_fitted: record.end == RunEnd::Overfit,
            kept: if alone { None } else { kept_earlier(config.keep(), record) },
            convergence: convergence.map(rounded),
            censored,
            end: trial_end(&record.end),
            cost: Cost { flops: record.flops, eval_flops: record.eval_flops, wall_s: rounded(record.wall_s) },
            test_perplexity: tested.filter(|value| value.is_finite()).map(rounded),
        }
    };
    let all = session.campaign.records();
    let whole = |record: &&RunRecord| record.spec.evaluate_from == 0;
    let ends = ends(all);
    let is_end = |record: &&RunRecord| ends.get(&record.spec.lineage()) == Some(&record.spec.steps);
    let plain = config.run_template();
    let is_plain = |record: &RunRecord| {
        let RunSpec { method, variant, learning_rates, .. } = &record.spec;
        method.is_none() && *variant == plain.variant && *learning_rates == plain.learning_rates
    };
    let mut runs: Vec<RecordedRun> = Vec::new();
    for record in all.values().filter(whole).filter(is_end) {
        match measured.methods.get(&record.spec.lineage()) {
            Some(methods) => runs.extend(methods.iter().map(|method| run(record, *method))),
            // What an earlier call has left, of a method perhaps, which nothing says then.
            None if is_plain(record) => runs.push(run(record, None)),
            None => {}
        }
    }
    runs.sort_by(|a, b| {
        let key = |run: &RecordedRun| (run.seed, run.method, run.samples, run.horizon, run.ranks.clone());
        key(a).cmp(&key(b))
    });
    Recording {
        task: session.out.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
        space: session.space.clone(),
        budget: session.budget.clone(),
        seeds,
        keeps_best: Some(config.keep() == Keep::Best),
        base_perplexity: rounded(base_perplexity),
        runs,
    }
}

/// The last step of each lineage: records that others carry on end before it.
fn ends(all: &BTreeMap<RunId, RunRecord>) -> BTreeMap<RunId, usize> {
    let mut ends = BTreeMap::new();
    for record in all.values() {
        let end = ends.entry(record.spec.lineage()).or_insert(0);
        *end = record.spec.steps.max(*end);
    }
    ends
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

/// The training losses of a run on all `samples` samples, up to the end of the first pass over them or the first that is not finite:
/// until then they tell as much as validation losses do, afterwards nothing asks for them.
fn train(record: &RunRecord, samples: usize) -> Vec<f64> {
    let pass = samples / record.spec.batch;
    let own = record.train.iter().take(pass).zip(1..);
    let own: Vec<f64> = own
        .take_while(|(point, step)| point.step == *step && point.loss.is_finite())
        .map(|(point, _)| rounded(point.loss))
        .collect();
    if record.spec.samples == samples { own } else { Vec::new() }
}

/// Four decimals: finer than any decision, and a third of the file.
fn rounded(value: f64) -> f64 {
    (1e4 * value).round() / 1e4
}

/// Writes a recording.
///
/// # Errors
/// When the file cannot be written.
pub fn write_recording(path: &Path, recording: &Recording) -> Result<(), Error> {
    let json = serde_json::to_vec(recording).map_err(|error| {
        Error::failed(format!("the recording {} cannot be written as JSON", path.display())).because(error)
    })?;
    let bytes = if is_gzip(path) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&json).and_then(|()| encoder.finish()).map_err(Error::io("compress", path))?
    } else {
        json
    };
    files::write(path, &bytes)
}

/// Longest recording that is read, packed and unpacked, bytes: 1 GiB.
const LONGEST: u64 = 1 << 30;

/// Reads a recording.
///
/// # Errors
/// An error of input that names the file, for one that is missing, not compressed as its name says, or no recording; of reading
/// when the system fails.
pub fn read_recording(path: &Path) -> Result<Recording, Error> {
    let wrong = |why: String| Error::input(format!("{} is not a recording: {why}", path.display()));
    let bytes = regular::read(path, LONGEST).map_err(|error| {
        let stated = wrong(error.to_string());
        Error::reading(path, error, stated)
    })?;
    let json = if is_gzip(path) {
        let mut json = Vec::new();
        let unpacked = GzDecoder::new(&bytes[..]).take(LONGEST + 1).read_to_end(&mut json);
        if unpacked.map_err(|error| wrong(error.to_string()))? as u64 > LONGEST {
            return Err(wrong(format!("it unpacks to more than the {LONGEST} bytes that are read")));
        }
        json
    } else {
        bytes
    };
    serde_json::from_slice(&json).map_err(|error| wrong(error.to_string()))
}

fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "gz")
}

#[cfg(test)]
mod tests {
    use super::train;
    use mars_calib::{CurvePoint, RunEnd, RunRecord, RunSpec};
    use mars_laws::Ranks;

    /// JSON has no NaN, so that a file with one could not be read again.
    #[test]
    fn training_losses_end_before_the_first_that_is_not_finite() {
        let spec = RunSpec::new(Ranks::new().with("llm", 4), 64, 8, 8, 1e-3);
        let mut record = RunRecord::empty(spec, RunEnd::Diverged { step: 3 });
        record.train = [2.0, 1.5, f64::NAN, 9.0]
            .into_iter()
            .zip(1..)
            .map(|(loss, step)| CurvePoint { step, loss })
            .collect();
        assert_eq!(train(&record, 64), [2.0, 1.5]);
    }
}
