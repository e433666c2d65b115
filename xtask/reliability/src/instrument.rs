//! The library that counts operations on files, and `mars` under it.

use crate::{Fault, Scenario};
use anyhow::{Context, Result, bail};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const SOURCE: &str = include_str!("preload.c");
/// Exit status of a process that the instrument ends; `mars` has none like it.
const ENDED: i32 = 99;
/// A call that takes longer hangs.
const LONGEST: Duration = Duration::from_secs(300);

/// The compiled library with the program that is put under it.
#[derive(Debug)]
pub struct Instrument {
    folder: TempDir,
    program: PathBuf,
}

/// One operation on a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its number, from 1, among those that are counted.
    pub number: usize,
    /// `create`, `write`, `fsync`, `rename`, ..., or one of [`Fault::READING`].
    pub name: String,
    /// Path in the directory that is watched.
    pub path: String,
}

/// How a call has ended.
#[derive(Clone, Debug)]
pub struct Done {
    /// Its exit status; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to stderr.
    pub stderr: String,
    /// Its operations.
    pub operations: Vec<Operation>,
}

impl Done {
    /// Whether the instrument has ended it.
    pub fn was_killed(&self) -> bool {
        self.code == Some(ENDED)
    }
}

impl Instrument {
    /// Compiles the library for calls of `program`. `Err` with the reason in words where this system cannot: then there
    /// is nothing to be tested.
    ///
    /// # Errors
    /// On a system other than Linux, or without a C compiler (`CC`, or `cc`).
    pub fn new(program: &Path) -> Result<Self> {
        if !cfg!(target_os = "linux") {
            bail!("operations on files are counted on Linux only");
        }
        let folder = tempfile::tempdir()?;
        let source = folder.path().join("preload.c");
        fs::write(&source, SOURCE)?;
        let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
        let output = Command::new(&compiler)
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&folder.path().join("preload.so"), &source])
            .arg("-ldl")
            .output()
            .with_context(|| format!("there is no C compiler {}", compiler.display()))?;
        if !output.status.success() {
            bail!("the instrument does not compile: {}", String::from_utf8_lossy(&output.stderr));
        }
        Ok(Self { folder, program: program.canonicalize().context("the program")? })
    }

    /// Calls the program as `scenario` says in the directory `place`, with `fault` at one operation, and waits for it.
    ///
    /// # Errors
    /// When it cannot be started, or hangs.
    pub fn call(&self, scenario: &Scenario, place: &Path, fault: Option<(Fault, usize)>) -> Result<Done> {
        let (log, messages) = (place.join("operations.log"), place.join("stderr.log"));
        let _ = fs::remove_file(&log);
        let place = place.canonicalize()?;
        let ((mode, error), at) = fault.map_or((("before", 0), 0), |(fault, at)| (fault.mode(), at));
        let mut command = Command::new(&self.program);
        for (name, _) in env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("MARS_")) {
                command.env_remove(name);
            }
        }
        let mut child = command
            .args(&scenario.arguments)
            .current_dir(&place)
            .env("LD_PRELOAD", self.folder.path().join("preload.so"))
            .env("RELIABILITY_ROOT", &place)
            // One thread reads the images in an order that is always the same.
            .env("RAYON_NUM_THREADS", "1")
            .env("RELIABILITY_PROGRAM", self.program.file_name().unwrap_or_default())
            .env("RELIABILITY_LOG", &log)
            .env("RELIABILITY_AT", at.to_string())
            .env("RELIABILITY_MODE", mode)
            .env("RELIABILITY_ERRNO", error.to_string())
            .env(
                "RELIABILITY_READS",
                u8::from(fault.is_none_or(|(fault, _)| fault.counts_reading())).to_string(),
            )
            .env("RELIABILITY_ENDED", ENDED.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(&messages)?)
            .spawn()
            .context("the program does not start")?;
        let started = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait()? {
                break status;
            }
            if started.elapsed() > LONGEST {
                child.kill()?;
                child.wait()?;
                bail!("{} hangs with {fault:?}", scenario.name);
            }
            thread::sleep(Duration::from_millis(5));
        };
        let stderr = String::from_utf8_lossy(&fs::read(&messages)?).into_owned();
        Ok(Done { code: status.code(), stderr, operations: operations(&log)? })
    }
}

/// Reads what the instrument has logged.
fn operations(log: &Path) -> Result<Vec<Operation>> {
    let text = fs::read_to_string(log).unwrap_or_default();
    let operation = |line: &str| {
        let mut parts = line.splitn(3, '\t');
        let (number, name, path) = (parts.next()?.parse().ok()?, parts.next()?, parts.next()?);
        Some(Operation { number, name: name.to_owned(), path: path.to_owned() })
    };
    text.lines().map(|line| operation(line).with_context(|| format!("the log says {line:?}"))).collect()
}
