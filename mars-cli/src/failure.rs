//! Failures as the user sees them: an exit code, one message, its causes.

use anyhow::Error;
use std::{fmt, io, process::ExitCode};

/// How `mars` ends; the number is the process's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// All done.
    Done = 0,
    /// A run, or the search, failed.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// The data or the model cannot be used.
    BadInput = 3,
    /// It does not fit into memory.
    Memory = 4,
    /// Done, but with the default ranks, and `--strict` was given.
    FellBack = 5,
    /// The system refused to read or write; the same call may work later.
    Io = 74,
    /// Another process works on the campaign.
    Locked = 75,
    /// Stopped by the user, with a checkpoint.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A failure found by this program itself.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) exit: Exit,
    /// What is wrong, and what to do.
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into() }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::new(Exit::BadInput, message)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// The exit code of an error: that of the outermost cause that has one.
pub(crate) fn exit_of(error: &Error) -> Exit {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.exit; // also where it is the context of another error
    }
    error.chain().find_map(exit_of_cause).unwrap_or(Exit::Failed)
}

fn exit_of_cause(cause: &(dyn std::error::Error + 'static)) -> Option<Exit> {
    if let Some(failure) = cause.downcast_ref::<Failure>() {
        return Some(failure.exit);
    }
    if let Some(error) = cause.downcast_ref::<mars_calib::Error>() {
        use mars_calib::Error::{Changed, Corrupt, Io, Locked, Spec, Template, Trainer, Unknown};
        return Some(match error {
            Locked { .. } => Exit::Locked,
            Changed { .. } | Spec { .. } | Template { .. } | Trainer { .. } | Unknown { .. } => Exit::Usage,
            Corrupt { .. } => Exit::BadInput,
            Io { .. } => Exit::Io,
            mars_calib::Error::Lora(_) => return None, // its cause says more
            _ => Exit::Failed,
        });
    }
    if let Some(error) = cause.downcast_ref::<mars_search::Error>() {
        use mars_search::Error::{Budget, NotRecorded, PolicyName, Space};
        return Some(match error {
            Space { .. } | Budget { .. } | PolicyName { .. } => Exit::Usage,
            NotRecorded { .. } => Exit::BadInput,
            _ => Exit::Failed,
        });
    }
    if let Some(error) = cause.downcast_ref::<mars_laws::Error>() {
        return Some(match error {
            mars_laws::Error::BadOption { .. } => Exit::Usage,
            _ => Exit::BadInput,
        });
    }
    if let Some(error) = cause.downcast_ref::<mars_vlm::Error>() {
        return Some(match error {
            mars_vlm::Error::Io { source, .. } => exit_of_reading(source),
            mars_vlm::Error::Network { .. } => Exit::Io,
            mars_vlm::Error::Argument(_) => Exit::Usage,
            _ => Exit::BadInput,
        });
    }
    if let Some(error) = cause.downcast_ref::<mars_lora::Error>() {
        use mars_lora::Error::{
            BadPattern, BadValue, Io, NothingAdapted, RankTooLarge, UnknownModule, Variant,
        };
        return Some(match error {
            RankTooLarge { .. } | NothingAdapted { .. } | UnknownModule { .. } => Exit::Usage,
            BadPattern { .. } | BadValue { .. } | Variant { .. } => Exit::Usage,
            Io { source, .. } => exit_of_reading(source),
            _ => Exit::BadInput,
        });
    }
    cause.downcast_ref::<io::Error>().map(|_| Exit::Io)
}

/// A file of the user's that is not there is bad input; one that cannot be read now may be readable later.
fn exit_of_reading(source: &io::Error) -> Exit {
    match source.kind() {
        io::ErrorKind::AlreadyExists => Exit::Usage,
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            Exit::BadInput
        }
        _ => Exit::Io,
    }
}

/// The message of an error with its causes, each on its own line, none said twice.
pub(crate) fn describe(error: &Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let message = cause.to_string();
        if text.is_empty() {
            text = message;
        } else if !text.contains(&message) {
            text += &format!("\n  because: {message}");
        }
    }
    text
}

/// Whether an error is a reader that went away, as `head` does: no failure of ours.
pub(crate) fn is_closed_pipe(error: &Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};
    use std::path::PathBuf;

    #[test]
    fn every_kind_of_error_has_its_code() {
        let refused = || io::Error::from(io::ErrorKind::PermissionDenied);
        let locked = mars_calib::Error::Locked { path: PathBuf::from("x"), holder: "process 1".into() };
        let missing = |kind| mars_vlm::Error::Io { path: PathBuf::from("x"), source: io::Error::from(kind) };
        for (error, exit) in [
            (Failure::usage("x").into(), Exit::Usage),
            (anyhow!("what").context(Failure::input("x")), Exit::BadInput),
            (Error::from(Failure::usage("x")).context("while"), Exit::Usage),
            (Error::from(locked).context("while opening"), Exit::Locked),
            (missing(io::ErrorKind::NotFound).into(), Exit::BadInput),
            (missing(io::ErrorKind::PermissionDenied).into(), Exit::Io),
            (refused().into(), Exit::Io),
            (anyhow!("anything else"), Exit::Failed),
        ] {
            assert_eq!(exit_of(&error), exit, "{error:#}");
        }
    }

    #[test]
    fn causes_are_told_once() {
        let inner: Result<(), _> = Err(io::Error::other("disk on fire"));
        let error = inner.context("cannot write x: disk on fire").context("while saving");
        let text = error.map_err(|error| describe(&error)).err().unwrap_or_default();
        assert_eq!(text, "while saving\n  because: cannot write x: disk on fire");
    }

    #[test]
    fn a_closed_pipe_is_recognised() {
        assert!(is_closed_pipe(&Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).context("printing")));
        assert!(!is_closed_pipe(&anyhow!("x")));
    }
}
