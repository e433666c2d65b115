//! A trainer that runs any external command, once for each run, and reads the curves it leaves.
//!
//! The command is a [`Template`], for example
//! `train.sh --vision-rank {r.ve} --llm-rank {r.llm} --samples {samples} --seed {seed} --max-steps {steps} --out {out}`.
//! It must write into `{out}` a `trainer_state.json` as the Hugging Face Trainer does (with evaluation
//! switched on) or a `curve.csv` with the columns `step,loss[,split]`. A run may be started again in the
//! same `{out}` after a kill: continuing from its own checkpoints is up to the command.
mod curves;
mod template;

pub use curves::Curves;
pub use template::Template;

use crate::{Error, Flow, Observer, Progress, RunEnd, RunId, RunRecord, RunSpec, Stage, Trainer};
use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The trainer.
#[derive(Clone, Debug)]
pub struct CommandTrainer {
    /// What to run.
    pub template: Template,
    /// Each run gets the directory `<out>/<run id>`.
    pub out: PathBuf,
    /// A run that takes longer has failed. Default: none.
    pub deadline: Option<Duration>,
    /// How long the command may take to end by itself when the user stops. Default: 10 s.
    pub grace: Duration,
}

/// Between two looks at a running command.
const POLL: Duration = Duration::from_millis(50);
/// Between two looks at its curves, which may be long.
const LOOK: Duration = Duration::from_secs(2);
/// How much of a failed command's stderr is kept, bytes.
const TAIL: u64 = 2000;

impl CommandTrainer {
    /// A trainer that runs `template` with outputs under `out`.
    ///
    /// # Errors
    /// [`Error::Template`] when the template cannot be understood.
    pub fn new(template: &str, out: impl Into<PathBuf>) -> Result<Self, Error> {
        Ok(Self {
            template: Template::parse(template)?,
            out: out.into(),
            deadline: None,
            grace: Duration::from_secs(10),
        })
    }

    fn one(&self, spec: &RunSpec, observe: &mut dyn Observer) -> Result<RunRecord, Error> {
        if let Some(method) = &spec.method {
            let rule = "a command trains plain LoRA; compare methods with the built-in trainer";
            return Err(Error::spec("method", method.name(), rule));
        }
        let out = self.out.join(spec.id().as_str());
        let started = Instant::now();
        let mut child = self.start(spec, &out)?;
        let outcome = self.watch(&mut child, spec, &out, observe);
        let record = RunRecord {
            wall_s: started.elapsed().as_secs_f64(),
            ..RunRecord::empty(spec.clone(), RunEnd::Finished)
        };
        let failed = |why: String| RunRecord { end: RunEnd::Failed { why }, ..record.clone() };
        match outcome? {
            Outcome::Stopped => return Ok(RunRecord { end: RunEnd::Interrupted, ..record }),
            Outcome::TimedOut => {
                let limit = self.deadline.unwrap_or_default().as_secs();
                return Ok(failed(format!("the command ran longer than {limit} s and was ended")));
            }
            Outcome::Exited(status) if !status.success() => {
                return Ok(failed(format!("the command ended with {status}{}", last_words(&out))));
            }
            Outcome::Exited(_) => {}
        }
        let Some(curves) = Curves::find(&out)? else {
            let expected = "neither trainer_state.json nor curve.csv";
            return Ok(failed(format!("the command left {expected} in {}", out.display())));
        };
        let diverged = curves.first_bad_step();
        if curves.val.is_empty() && diverged.is_none() {
            let remedy = "switch evaluation on (eval_strategy steps), or write rows with split val";
            return Ok(failed(format!("no validation loss in {}; {remedy}", out.display())));
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

    fn start(&self, spec: &RunSpec, out: &Path) -> Result<Child, Error> {
        fs::create_dir_all(out).map_err(Error::io("create the directory", out))?;
        // A command that leaves no curves must not be credited with those of an earlier try.
        for stale in ["trainer_state.json", "curve.csv"].map(|name| out.join(name)) {
            if stale.is_file() {
                fs::remove_file(&stale).map_err(Error::io("remove", &stale))?;
            }
        }
        let log = |name: &str| {
            let path = out.join(name);
            File::create(&path).map(Stdio::from).map_err(Error::io("create", &path))
        };
        let arguments = self.template.arguments(spec, out);
        let program = Path::new(&arguments[0]);
        Command::new(program)
            .args(&arguments[1..])
            .stdin(Stdio::null())
            .stdout(log("stdout.log")?)
            .stderr(log("stderr.log")?)
            .spawn()
            .map_err(Error::io("run", program))
    }

    /// Waits for the command, reporting the steps it logs.
    fn watch(
        &self,
        child: &mut Child,
        spec: &RunSpec,
        out: &Path,
        observe: &mut dyn Observer,
    ) -> Result<Outcome, Error> {
        let (id, started) = (spec.id(), Instant::now());
        let (mut looked, mut reported) = (Instant::now(), 0);
        let ended = |child: &mut Child| child.try_wait().map_err(Error::io("wait for the command of", out));
        loop {
            if let Some(status) = ended(child)? {
                return Ok(Outcome::Exited(status));
            }
            if self.deadline.is_some_and(|limit| started.elapsed() > limit) {
                end(child);
                return Ok(Outcome::TimedOut);
            }
            if looked.elapsed() > LOOK {
                looked = Instant::now();
                // Half-written files are looked at again next time.
                if let Ok(Some(curves)) = Curves::find(out) {
                    reported = reported.max(curves.last_step());
                }
            }
            if observe.progress(&progress(&id, spec, reported)) == Flow::Stop {
                let asked = Instant::now();
                while asked.elapsed() < self.grace && ended(child)?.is_none() {
                    thread::sleep(POLL);
                }
                end(child);
                return Ok(Outcome::Stopped);
            }
            thread::sleep(POLL);
        }
    }
}

impl Trainer for CommandTrainer {
    fn train(&mut self, runs: &[RunSpec], observe: &mut dyn Observer) -> Vec<RunRecord> {
        let mut stopped = false;
        let mut records = Vec::with_capacity(runs.len());
        for spec in runs {
            if stopped {
                records.push(RunRecord::empty(spec.clone(), RunEnd::Interrupted));
                continue;
            }
            let record = self.one(spec, observe).unwrap_or_else(|error| {
                let cause = std::error::Error::source(&error).map(|source| format!(": {source}"));
                let why = format!("{error}{}", cause.unwrap_or_default());
                RunRecord::empty(spec.clone(), RunEnd::Failed { why })
            });
            stopped = record.end == RunEnd::Interrupted || observe.finished(&record) == Flow::Stop;
            records.push(record);
        }
        records
    }
}

enum Outcome {
    Exited(ExitStatus),
    TimedOut,
    Stopped,
}

fn end(child: &mut Child) {
    // Both fail only for a process that is gone already.
    let _ = child.kill();
    let _ = child.wait();
}

fn progress(id: &RunId, spec: &RunSpec, step: usize) -> Progress {
    Progress { run: id.clone(), stage: Stage::Train, step, steps: spec.steps, loss: None }
}

/// The end of the command's stderr, as a clause of the message.
fn last_words(out: &Path) -> String {
    let read = || -> std::io::Result<String> {
        let mut file = File::open(out.join("stderr.log"))?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    match read() {
        Ok(text) if !text.is_empty() => format!("; the end of its stderr:\n{text}"),
        _ => " and wrote nothing to stderr".into(),
    }
}
