//! A trainer that runs any external command, once for each run, and reads the curves it leaves.
//!
//! The command is described by [`CommandOptions`], for example with the template
//! `train.sh --vision-rank {r.ve} --llm-rank {r.llm} --samples {samples} --seed {seed} --max-steps {steps} --out {out}`.
//! It must leave the loss curve of the run where [`CurveSource`] says: by default in `{out}`, as a `trainer_state.json`
//! of the Hugging Face Trainer (with evaluation switched on), as a `curve.csv` with the columns `step,loss[,split]`, as JSON
//! lines or as event files of TensorBoard.
//!
//! What a run costs is its wall time over all tries, and model FLOPs and tokens where a trainer state reports them. A run may
//! be started again in the same `{out}` after a kill: continuing from its own checkpoints is up to the command, and so is
//! continuing from those of a shorter run, whose directory `{continues}` names. Of the exit codes, 85 says that the command
//! has stopped after a checkpoint and is to be started again, as it is while it gets further; 74 (I/O error), 75 (something is
//! held elsewhere) and a death by a signal are tried once more; all others are final.
//!
//! A command that ends by itself with 0 must have reached its last step, up to the interval at which it logs losses: a run that
//! is cut short counts as failed, and so does one that goes on for longer than that after its last step. From its first logged
//! step on, the curve of a run is that of its last try, and before that step that of the earlier ones. On Linux no command
//! outlives this process, see `orphan`.
//!
//! A command whose curve, as far as it is written, shows a loss that is not a number, or the convergence that
//! [`RunSpec::stop_when_converged`] waits for, or a step past the end of its run, is ended with SIGTERM.
mod coverage;
mod curves;
mod ending;
mod events;
mod found;
mod history;
mod json_lines;
mod losses;
mod options;
mod orphan;
mod process;
mod seconds;
mod template;
mod told;
mod torn;

pub use curves::Curves;
pub use options::{CommandLine, CommandOptions, CurveFormat, CurveSource};
pub use template::Template;
pub use told::{ModulePlaceholder, Place};

use super::{ended_by, with_cause};
use crate::{Error, Flow, Observer, Progress, RunEnd, RunId, RunRecord, RunSpec, Stage, Trainer, files};
use ending::{Ending, Outcome, Watched};
use losses::{Losses, Seen};
use options::Prepared;
use process::{POLL, Process, last_words};
use std::{
    io,
    path::{Path, PathBuf},
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
        orphan::end(&out, Duration::from_secs_f64(self.options.grace_s))?;
        let curve = PathBuf::from(self.prepared.curve.arguments(spec, &out).concat());
        let before = self.seconds_before(spec, &out)?;
        let from = self.goes_on_from(spec);
        let mut losses = Losses::of(&out, from.as_deref(), curve, self.options.curve.format)?;
        let started = Instant::now();
        let outcome = self.tries(spec, &out, &mut losses, started, observe);
        let wall_s = before + started.elapsed().as_secs_f64();
        seconds::write(&out, wall_s)?;
        let record = RunRecord { wall_s, ..RunRecord::empty(spec.clone(), RunEnd::Finished) };
        let failed = |why: String| RunRecord { end: RunEnd::Failed { why }, ..record.clone() };
        let (early, seen) = match outcome? {
            Outcome::Stopped => return Ok(RunRecord { end: RunEnd::Interrupted, ..record }),
            Outcome::TimedOut(limit) => {
                return Ok(failed(format!("the command ran longer than {limit} s and was ended")));
            }
            Outcome::Failed(why) => return Ok(failed(why)),
            Outcome::Early(end, seen) => (Some(end), Some(seen)),
            Outcome::Done => match losses.read() {
                // What cannot be understood is the command's.
                Err(error @ Error::Corrupt { .. }) => return Ok(failed(with_cause(&error))),
                seen => (None, seen?),
            },
        };
        let Some(Seen { curves, logged }) = seen else {
            return Ok(failed(format!("the command left {}", losses.expected()?)));
        };
        if logged.is_none() && curves.last_step() < spec.steps {
            return Ok(failed(format!("the command left nothing new in {}", losses.place().display())));
        }
        losses.keep(&curves)?;
        let several = self.prepared.names_several_modules();
        if let Some(why) = coverage::fault(spec, several, &curves, (losses.place(), &out)) {
            return Ok(failed(why));
        }
        let end = match early.map_or_else(|| coverage::own_end(spec, &curves), Ok) {
            Ok(end) => end,
            Err(why) => return Ok(failed(why + &last_words(&out)?)),
        };
        Ok(RunRecord {
            samples_seen: (spec.batch as u64).saturating_mul(curves.last_step() as u64),
            tokens: curves.tokens,
            flops: curves.flops,
            val: curves.val,
            train: curves.train,
            end,
            ..record
        })
    }

    /// Seconds spent on the run by earlier tries, or on the run that it goes on from.
    fn seconds_before(&self, spec: &RunSpec, out: &Path) -> Result<f64, Error> {
        let own = seconds::read(out)?;
        match self.goes_on_from(spec).filter(|_| own == 0.0) {
            Some(earlier) => seconds::read(&earlier),
            None => Ok(own),
        }
    }

    /// The directory of the run whose checkpoints the command is told of.
    fn goes_on_from(&self, spec: &RunSpec) -> Option<PathBuf> {
        let earlier = spec.continues.as_ref().filter(|_| self.continues());
        earlier.map(|earlier| self.out.join(earlier.as_str()))
    }

    /// Starts the command as often as it helps. A try that follows a failure begins without the curve of the one before; one
    /// that goes on after a checkpoint keeps it, and must get further.
    fn tries(
        &self,
        spec: &RunSpec,
        out: &Path,
        losses: &mut Losses,
        started: Instant,
        observe: &mut dyn Observer,
    ) -> Result<Outcome, Error> {
        let (mut first, mut retried, mut reached) = (true, false, 0);
        losses.begin(true)?;
        loop {
            let mut process = match Process::start(&self.prepared, spec, out, first) {
                // A program that cannot be started is a fault of the command.
                Err(error @ Error::Io { action: "run", .. }) => {
                    return Ok(Outcome::Failed(with_cause(&error)));
                }
                process => process?,
            };
            first = false;
            let watched = self.watch(&mut process, spec, (out, losses), started, observe);
            if watched.is_err() {
                process.end(Duration::from_secs_f64(self.options.grace_s));
            }
            let status = match watched? {
                Watched::Exited(status) => status,
                Watched::Ended(outcome) => return Ok(outcome),
            };
            let why = || {
                let words = last_words(out)?;
                Ok::<_, Error>(format!("the command ended with {}{words}", ending::in_words(status)))
            };
            let logged = || Ok::<_, Error>(losses.so_far()?.and_then(|seen| seen.logged).unwrap_or(0));
            match Ending::of(status) {
                Ending::Done => return Ok(Outcome::Done),
                Ending::Unfinished if logged()? > reached => {
                    reached = logged()?;
                    losses.begin(false)?;
                }
                Ending::MayPass | Ending::Storage if !retried => {
                    retried = true;
                    losses.begin(true)?;
                }
                Ending::Storage => {
                    return Err(Error::io("let the command work in", out)(io::Error::other(why()?)));
                }
                _ => return Ok(Outcome::Failed(why()?)),
            }
        }
    }

    /// Waits for the command, reporting the steps it logs; `started` is when the run's time began.
    fn watch(
        &self,
        process: &mut Process,
        spec: &RunSpec,
        (out, losses): (&Path, &Losses),
        started: Instant,
        observe: &mut dyn Observer,
    ) -> Result<Watched, Error> {
        let id = spec.id();
        let (mut last_read, mut reported) = (Instant::now(), losses.reached());
        let grace = Duration::from_secs_f64(self.options.grace_s);
        loop {
            if let Some(status) = process.ended(out)? {
                return Ok(Watched::Exited(status));
            }
            if let Some(limit) =
                self.options.timeout_s.filter(|limit| started.elapsed().as_secs_f64() > *limit)
            {
                process.end(grace);
                return Ok(Watched::Ended(Outcome::TimedOut(limit)));
            }
            if last_read.elapsed() > READ_EVERY {
                last_read = Instant::now();
                // What earlier tries have logged ends no other.
                if let Some(seen) = losses.so_far()?.filter(|seen| seen.logged.is_some()) {
                    reported = reported.max(seen.curves.last_step());
                    let several = self.prepared.names_several_modules();
                    let fault = match seen.curves.val.is_empty() {
                        true => coverage::past_end(spec, &seen.curves, out),
                        false => coverage::fault(spec, several, &seen.curves, (losses.place(), out)),
                    };
                    if let Some(why) = fault {
                        process.end(grace);
                        return Ok(Watched::Ended(Outcome::Failed(why)));
                    }
                    if let Some(end) = coverage::early_end(spec, &seen.curves) {
                        process.end(grace);
                        return Ok(Watched::Ended(Outcome::Early(end, seen)));
                    }
                }
            }
            if observe.progress(&progress(&id, spec, reported)) == Flow::Stop {
                process.end(grace);
                return Ok(Watched::Ended(Outcome::Stopped));
            }
            thread::sleep(POLL);
        }
    }
}

impl Trainer for CommandTrainer {
    /// Every run has a directory of its own: a run that continues another begins at step 0 unless the command is told of
    /// that one by `{continues}`.
    fn continues(&self) -> bool {
        self.prepared.continues()
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

fn progress(id: &RunId, spec: &RunSpec, step: usize) -> Progress {
    let step = step.min(spec.steps);
    Progress { run: id.clone(), stage: Stage::Train, step, steps: spec.steps, loss: None }
}
