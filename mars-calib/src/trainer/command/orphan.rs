//! Commands that outlive the process that started them, as after SIGKILL.
//!
//! Every command has the variable [`MARK`] with the directory of its run in its environment, and so has whatever it starts.
//! Before a run begins, what is left of an earlier call on this machine is found by that under `/proc`, and ended: two
//! trainers must not write into one directory. On Linux the command itself is asked to end by the kernel as soon as the thread
//! that started it is gone. Elsewhere nothing of this is done.

use crate::Error;
use std::{
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// The variable that names the directory of a run; not one of the settings of this program.
pub(super) const MARK: &str = "RUN_DIRECTORY_OF_MARS";

/// Marks `command` as that of the run in `out`, which does not outlive this process.
pub(super) fn bind(command: &mut Command, out: &Path) {
    command.env(MARK, whole(out));
    #[cfg(target_os = "linux")]
    linux::end_with_parent(command);
}

/// The directory of a run by a name that no other has on this machine: others may have the same run below another directory.
fn whole(out: &Path) -> PathBuf {
    let whole = out.canonicalize().or_else(|_| std::path::absolute(out));
    whole.unwrap_or_else(|_| out.to_path_buf())
}

/// Ends what an earlier call has left running for the run in `out`: asks it to, and kills it after `grace`.
///
/// # Errors
/// [`Error::Io`] when it cannot be ended.
pub(super) fn end(out: &Path, grace: Duration) -> Result<(), Error> {
    #[cfg(target_os = "linux")]
    linux::end(&whole(out), grace)
        .map_err(Error::io("end the command that an earlier call left running in", out))?;
    #[cfg(not(target_os = "linux"))]
    let _ = (out, grace);
    Ok(())
}

#[cfg(target_os = "linux")]
mod linux {
    use super::{super::process::POLL, MARK};
    use rustix::process::{
        Pid, Signal, getpid, getppid, kill_process, set_parent_process_death_signal, test_kill_process,
    };
    use std::{
        fs, io,
        os::unix::{ffi::OsStrExt, process::CommandExt},
        path::Path,
        process::Command,
        thread,
        time::{Duration, Instant},
    };

    /// How long processes that were killed may take to be gone.
    const GONE: Duration = Duration::from_secs(20);

    pub(super) fn end_with_parent(command: &mut Command) {
        let parent = getpid();
        let ask = move || {
            set_parent_process_death_signal(Some(Signal::TERM))?;
            // It may be gone already, and another process be the parent.
            if getppid() == Some(parent) { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
        };
        // SAFETY: between fork and exec two system calls are made, without allocation and without locks.
        #[allow(unsafe_code)]
        unsafe {
            command.pre_exec(ask);
        }
    }

    pub(super) fn end(out: &Path, grace: Duration) -> io::Result<()> {
        for (signal, patience) in [(Signal::TERM, grace), (Signal::KILL, GONE)] {
            let asked = Instant::now();
            let mut left = marked(out)?;
            while !left.is_empty() {
                for process in &left {
                    match kill_process(*process, signal) {
                        Err(error) if error != rustix::io::Errno::SRCH => return Err(error.into()),
                        _ => {}
                    }
                }
                while left.iter().any(|process| runs(*process)) && asked.elapsed() < patience {
                    thread::sleep(POLL);
                }
                if asked.elapsed() >= patience {
                    break;
                }
                // What they have begun in between.
                left = marked(out)?;
            }
        }
        match marked(out)?.first() {
            None => Ok(()),
            Some(process) => Err(io::Error::other(format!("process {process} does not end"))),
        }
    }

    /// The processes with the mark of `out`, but for this one and those that have ended.
    fn marked(out: &Path) -> io::Result<Vec<Pid>> {
        let mark = [MARK.as_bytes(), b"=", out.as_os_str().as_bytes()].concat();
        let entries = match fs::read_dir("/proc") {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let Ok(entry) = entry else { continue };
            let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
                continue;
            };
            let Some(process) = Pid::from_raw(process).filter(|process| *process != getpid()) else {
                continue;
            };
            // That of another user, or of one that is just gone, cannot be read.
            let Ok(environment) = fs::read(entry.path().join("environ")) else { continue };
            if environment.split(|byte| *byte == 0).any(|variable| variable == mark) && runs(process) {
                found.push(process);
            }
        }
        Ok(found)
    }

    /// Whether a process is there and has not ended; one that has, and that its parent has not asked for, is.
    fn runs(process: Pid) -> bool {
        let text = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        let ended =
            text.rsplit(')').next().is_some_and(|rest| matches!(rest.trim().chars().next(), Some('Z' | 'X')));
        test_kill_process(process).is_ok() && !ended
    }
}
