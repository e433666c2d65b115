//! A running command with all processes that it has started.

use super::{options::Prepared, orphan};
use crate::{Error, RunSpec};
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Between two checks of a running command.
pub(super) const POLL: Duration = Duration::from_millis(50);
/// How much of a failed command's stderr is kept, bytes.
const TAIL: u64 = 2000;

/// A command under way; its process and their children are one process group where there are such.
pub(super) struct Process(Child);

impl Process {
    /// Starts the command of `spec` with its output in `stdout.log` and `stderr.log` of the directory `out`, after what is
    /// there unless this is the `first` try.
    ///
    /// # Errors
    /// [`Error::Io`] when the logs cannot be made or the program cannot be run.
    pub(super) fn start(prepared: &Prepared, spec: &RunSpec, out: &Path, first: bool) -> Result<Self, Error> {
        let log = |name: &str| {
            let path = out.join(name);
            let file = if first { File::create(&path) } else { File::options().append(true).open(&path) };
            file.map(Stdio::from).map_err(Error::io("create", &path))
        };
        let arguments = prepared.command.arguments(spec, out);
        let program = Path::new(&arguments[0]);
        let mut command = Command::new(program);
        let values = |value: &super::Template| value.arguments(spec, out).concat();
        command
            .args(&arguments[1..])
            .envs(prepared.environment.iter().map(|(name, value)| (name, values(value))))
            .stdin(Stdio::null())
            .stdout(log("stdout.log")?)
            .stderr(log("stderr.log")?);
        orphan::bind(&mut command, out);
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        command.spawn().map(Self).map_err(Error::io("run", program))
    }

    /// How the command has ended, if it has.
    pub(super) fn ended(&mut self, out: &Path) -> Result<Option<ExitStatus>, Error> {
        self.0.try_wait().map_err(Error::io("wait for the command of", out))
    }

    /// Asks the whole group to end, and kills what is left of it after `grace`.
    pub(super) fn end(&mut self, grace: Duration) {
        signal(&self.0, false);
        let asked = Instant::now();
        while asked.elapsed() < grace && matches!(self.0.try_wait(), Ok(None)) {
            thread::sleep(POLL.min(grace));
        }
        signal(&self.0, true);
        // Both fail only for a process that is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends SIGTERM or SIGKILL to the process group of `child`; a group that is gone is no error.
#[cfg(unix)]
fn signal(child: &Child, kill: bool) {
    use rustix::process::{Pid, Signal, kill_process_group};
    let signal = if kill { Signal::KILL } else { Signal::TERM };
    let _ = kill_process_group(Pid::from_child(child), signal);
}

#[cfg(not(unix))]
fn signal(_: &Child, _: bool) {}

/// The end of the command's stderr, as a clause of a message.
///
/// # Errors
/// [`Error::Io`] when it is there and cannot be read.
pub(super) fn last_words(out: &Path) -> Result<String, Error> {
    let path = out.join("stderr.log");
    let read = || -> io::Result<String> {
        let mut file = File::open(&path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
    };
    let text = match read() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        text => text.map_err(Error::io("read", &path))?,
    };
    Ok(match text.is_empty() {
        true => " and wrote nothing to stderr".into(),
        false => format!("; the end of its stderr:\n  {}", text.replace('\n', "\n  ")),
    })
}
