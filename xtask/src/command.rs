//! Programs that the steps start.

use std::{
    env,
    ffi::OsStr,
    path::Path,
    process::{self, Stdio},
    thread,
    time::{Duration, Instant},
};

/// What went wrong, in words.
pub(crate) type Failure = Box<dyn std::error::Error>;

/// The result of whatever can fail and has nothing to say otherwise.
pub(crate) type Outcome = Result<(), Failure>;

/// A program with its arguments, and the text by which it is reported.
pub(crate) struct Command {
    inner: process::Command,
    text: String,
}

impl Command {
    pub(crate) fn new(name: &str, program: impl AsRef<OsStr>, directory: &Path) -> Self {
        let mut inner = process::Command::new(program);
        inner.current_dir(directory);
        // `cargo run` describes this package to its program; nothing that is built here must see it.
        for (key, _) in env::vars_os() {
            let described = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"];
            if key.to_str().is_some_and(|key| described.iter().any(|start| key.starts_with(start))) {
                inner.env_remove(key);
            }
        }
        Self { inner, text: name.to_owned() }
    }

    pub(crate) fn args<A: AsRef<str>>(mut self, arguments: &[A]) -> Self {
        for argument in arguments {
            self.inner.arg(argument.as_ref());
            self.text.push(' ');
            self.text.push_str(argument.as_ref());
        }
        self
    }

    pub(crate) fn env(mut self, key: &str, value: &str) -> Self {
        self.inner.env(key, value);
        self.text = format!("{key}={value:?} {}", self.text);
        self
    }

    /// Runs it to its end, with the output of this program as its own.
    pub(crate) fn run(mut self) -> Outcome {
        println!("$ {}", self.text);
        let status = self.inner.stdin(Stdio::null()).status();
        let status = status.map_err(|error| format!("`{}` does not start: {error}", self.text))?;
        if status.success() { Ok(()) } else { Err(format!("`{}` failed: {status}", self.text).into()) }
    }

    /// Runs it to its end, which must come within `limit`; its output is not shown.
    pub(crate) fn run_within(mut self, limit: Duration) -> Outcome {
        println!("$ {}", self.text);
        let silent = self.inner.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = silent.spawn().map_err(|error| format!("`{}` does not start: {error}", self.text))?;
        let started = Instant::now();
        while started.elapsed() < limit {
            if let Some(status) = child.try_wait()? {
                let failed = || format!("`{}` failed: {status}", self.text).into();
                return if status.success() { Ok(()) } else { Err(failed()) };
            }
            thread::sleep(Duration::from_millis(100));
        }
        child.kill()?;
        child.wait()?;
        Err(format!("`{}` takes longer than {} s", self.text, limit.as_secs()).into())
    }

    /// Runs it to its end and returns what it wrote to standard output; standard error goes to the terminal.
    pub(crate) fn output(mut self) -> Result<String, Failure> {
        println!("$ {}", self.text);
        let output = self.inner.stdin(Stdio::null()).stderr(Stdio::inherit()).output();
        let output = output.map_err(|error| format!("`{}` does not start: {error}", self.text))?;
        if !output.status.success() {
            return Err(format!("`{}` failed: {}", self.text, output.status).into());
        }
        String::from_utf8(output.stdout).map_err(|error| format!("`{}`: {error}", self.text).into())
    }
}
