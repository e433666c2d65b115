//! A trainer that runs any external command, once for each run, and reads the curves it leaves.
//!
//! The command is described by [`CommandOptions`], for example with the template
//! `train.sh --vision-rank {r.ve} --llm-rank {r.llm} --samples {samples} --seed {seed} --max-steps {steps} --out {out}`.
//! It must leave the loss curve of the run where [`CurveSource`] says: by default in `{out}`, as a `trainer_state.json`
//! of the Hugging Face Trainer (with evaluation switched on) or as a `curve.csv` with the columns `step,loss[,split]`.
//!
//! What a run costs is its wall time, and model FLOPs and tokens where a trainer state reports them. A run may be
//! started again in the same `{out}` after a kill: continuing from its own checkpoints is up to the command. A command
//! trains every run to its last step, whatever [`RunSpec::stop_when_converged`] says.
mod curves;
mod options;
mod process;
mod template;

pub use curves::Curves;
pub use options::{CommandLine, CommandOptions, CurveFormat, CurveSource};
pub use template::Template;

use super::{ended_by, with_cause};
use crate::{Error, Flow, Observer, Progress, RunEnd, RunId, RunRecord, RunSpec, Stage, Trainer, files};
use options::Prepared;
use process::{POLL, Process, last_words};
use std::{
    path::{Path, PathBuf},
    process::ExitStatus,
    thread,
    time::{Duration, Instant},
};

/// The trainer.
#[derive(Clone, Debug)]
pub struct CommandTrainer {
    options: CommandOptions,
    prepared: Prepared,
    /// Each run gets the directory `<out>/<run id>`.
    out: PathBuf,
}

/// Between two readings of the curves of a running command, which may be long.
const READ_EVERY: Duration = Duration::from_secs(2);

impl CommandTrainer {
    /// A trainer as `options` describe it; a text is a command with defaults for all else. Each run gets the directory
    /// `<out>/<run id>`.
    ///
    /// # Errors
    /// As [`CommandOptions::validate`].
    pub fn new(options: impl Into<CommandOptions>, out: impl Into<PathBuf>) -> Result<Self, Error> {
        let options = options.into();
        Ok(Self { prepared: Prepared::of(&options)?, options, out: out.into() })
    }

    /// The options that it was made with.
    pub fn options(&self) -> &CommandOptions {
        &self.options
    }

    fn one(&self, spec: &RunSpec, observe: &mut dyn Observer) -> Result<RunRecord, Error> {
        if let Some(method) = &spec.method {
            let rule = "a command trains plain LoRA; compare methods with the built-in trainer";
            return Err(Error::spec("method", method.name(), rule));
        }
        let out = self.out.join(spec.id().as_str());
        files::make_directory(&out)?;
        let curve = PathBuf::from(self.prepared.curve.arguments(spec, &out).concat());
        remove_old(&curve)?;
        let started = Instant::now();
        let mut process = match Process::start(&self.prepared, spec, &out) {
            // A program that cannot be started is a fault of the command.
            Err(error @ Error::Io { action: "run", .. }) => {
                return Ok(RunRecord::empty(spec.clone(), RunEnd::Failed { why: with_cause(&error) }));
            }
            started => started?,
        };
        let outcome = self.watch(&mut process, spec, &out, &curve, observe);
        if outcome.is_err() {
            process.end(Duration::from_secs_f64(self.options.grace_s));
        }
        let record = RunRecord {
            wall_s: started.elapsed().as_secs_f64(),
            ..RunRecord::empty(spec.clone(), RunEnd::Finished)
        };
        let failed = |why: String| RunRecord { end: RunEnd::Failed { why }, ..record.clone() };
        match outcome? {
            Outcome::Stopped => return Ok(RunRecord { end: RunEnd::Interrupted, ..record }),
            Outcome::TimedOut(limit) => {
                return Ok(failed(format!("the command ran longer than {limit} s and was ended")));
            }
            Outcome::Exited(status) if !status.success() => {
                return Ok(failed(format!("the command ended with {status}{}", last_words(&out)?)));
            }
            Outcome::Exited(_) => {}
        }
        let curves = match Curves::read(&curve, self.options.curve.format) {
            // What cannot be understood is the command's.
            Err(error @ Error::Corrupt { .. }) => return Ok(failed(with_cause(&error))),
            curves => curves?,
        };
        let Some(curves) = curves else {
            let expected = Curves::expected(&curve, self.options.curve.format);
            return Ok(failed(format!("the command left {expected}")));
        };
        let diverged = curves.first_bad_step();
        if curves.val.is_empty() && diverged.is_none() {
            let remedy = "switch evaluation on (eval_strategy steps), or write rows with split val";
            return Ok(failed(format!("no validation loss in {}; {remedy}", curve.display())));
        }
        let end = diverged.map_or(RunEnd::Finished, |step| RunEnd::Diverged { step });
        Ok(RunRecord {
            samples_seen: (spec.batch * curves.last_step()) as u64,
            tokens: curves.tokens,
            flops: curves.flops,
            val: curves.val,
            train: curves.train,
            end,
            ..record
        })
    }

    /// Waits for the command, reporting the steps it logs.
    fn watch(
        &self,
        process: &mut Process,
        spec: &RunSpec,
        out: &Path,
        curve: &Path,
        observe: &mut dyn Observer,
    ) -> Result<Outcome, Error> {
        let (id, started) = (spec.id(), Instant::now());
        let (mut last_read, mut reported) = (Instant::now(), 0);
        let grace = Duration::from_secs_f64(self.options.grace_s);
        loop {
            if let Some(status) = process.ended(out)? {
                return Ok(Outcome::Exited(status));
            }
            if let Some(limit) =
                self.options.timeout_s.filter(|limit| started.elapsed().as_secs_f64() > *limit)
            {
                process.end(grace);
                return Ok(Outcome::TimedOut(limit));
            }
            if last_read.elapsed() > READ_EVERY {
                last_read = Instant::now();
                match Curves::read(curve, self.options.curve.format) {
                    Ok(curves) => reported = reported.max(curves.map_or(0, |curves| curves.last_step())),
                    // Half-written files are read again next time.
                    Err(Error::Corrupt { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            if observe.progress(&progress(&id, spec, reported)) == Flow::Stop {
                process.end(grace);
                return Ok(Outcome::Stopped);
            }
            thread::sleep(POLL);
        }
    }
}

impl Trainer for CommandTrainer {
    /// Every run has a directory of its own: a run that continues another begins at step 0.
    fn continues(&self) -> bool {
        false
    }

    fn train(&mut self, runs: &[RunSpec], observe: &mut dyn Observer) -> Vec<RunRecord> {
        let mut stopped = false;
        let mut records = Vec::with_capacity(runs.len());
        for spec in runs {
            if stopped {
                records.push(RunRecord::empty(spec.clone(), RunEnd::Interrupted));
                continue;
            }
            let record = self.one(spec, observe).unwrap_or_else(|error| ended_by(spec, error, observe));
            stopped = record.end == RunEnd::Interrupted || observe.finished(&record) == Flow::Stop;
            records.push(record);
        }
        records
    }
}

enum Outcome {
    Exited(ExitStatus),
    /// After this many seconds.
    TimedOut(f64),
    Stopped,
}

/// Removes the curves of an earlier try: a command that leaves none must not be credited with those.
fn remove_old(curve: &Path) -> Result<(), Error> {
    let inside = ["trainer_state.json", "curve.csv"].map(|name| curve.join(name));
    for old in inside.iter().map(PathBuf::as_path).chain([curve]) {
        if files::is_file(old)? {
            files::remove(old)?;
        }
    }
    Ok(())
}

fn progress(id: &RunId, spec: &RunSpec, step: usize) -> Progress {
    Progress { run: id.clone(), stage: Stage::Train, step, steps: spec.steps, loss: None }
}
