//! How the program ends: an exit code, and one message with its causes.

use mars::{Error, ErrorKind};
use std::{io, process::ExitCode};

/// The exit codes of `mars`.
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
    /// Done, but with the default ranks or without an improvement over the base, and `--strict` was given.
    NoAnswer = 5,
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

impl From<ErrorKind> for Exit {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Usage => Self::Usage,
            ErrorKind::Input => Self::BadInput,
            ErrorKind::Memory => Self::Memory,
            ErrorKind::Io => Self::Io,
            ErrorKind::Locked => Self::Locked,
            ErrorKind::Interrupted => Self::Interrupted,
            _ => Self::Failed,
        }
    }
}

/// The message of an error with its causes, each on its own line, and what this command offers against it.
pub(crate) fn describe(error: &Error) -> String {
    let message = error.messages().join("\n  because: ");
    match remedy(error) {
        Some(remedy) => format!("{message} ({remedy})"),
        None => message,
    }
}

/// What this command offers against an error of a library, which names no command.
fn remedy(error: &Error) -> Option<&'static str> {
    use mars::mars_vlm::{
        Error::{ExtraTensors, MissingTensor, TooLarge, WrongShape},
        Misfit,
    };
    let Error::Vlm(error) = error else { return None };
    match error {
        MissingTensor { cause, .. } | WrongShape { cause, .. } | ExtraTensors { cause, .. } => {
            (*cause == Misfit::Adapter).then_some("`mars merge` does that")
        }
        TooLarge { .. } => Some("the setting is model.dtype"),
        _ => None,
    }
}

/// Whether an error is a reader of our output that went away, as `head` does.
pub(crate) fn is_closed_pipe(error: &Error) -> bool {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = next {
        if cause.downcast_ref::<io::Error>().is_some_and(|cause| cause.kind() == io::ErrorKind::BrokenPipe) {
            return true;
        }
        next = cause.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn io_error(kind: io::ErrorKind) -> Error {
        Error::Io { action: "write to", path: PathBuf::from("stdout"), source: io::Error::from(kind) }
    }

    #[test]
    fn every_kind_of_error_has_its_code() {
        for (kind, code) in [
            (ErrorKind::Failed, 1),
            (ErrorKind::Usage, 2),
            (ErrorKind::Input, 3),
            (ErrorKind::Memory, 4),
            (ErrorKind::Io, 74),
            (ErrorKind::Locked, 75),
            (ErrorKind::Interrupted, 130),
        ] {
            assert_eq!(Exit::from(kind) as u8, code);
        }
    }

    #[test]
    fn causes_follow_the_message() {
        let error = Error::failed("saving the report").because(io_error(io::ErrorKind::StorageFull));
        assert!(describe(&error).starts_with("saving the report\n  because: cannot write to stdout\n"));
    }

    #[test]
    fn this_command_is_offered_where_it_helps() {
        let extra = |cause| {
            let (path, names) = (PathBuf::from("model.safetensors"), vec!["lora_A".to_owned()]);
            describe(&mars::mars_vlm::Error::ExtraTensors { path, names, cause }.into())
        };
        assert!(extra(mars::mars_vlm::Misfit::Adapter).ends_with("(`mars merge` does that)"));
        assert!(!extra(mars::mars_vlm::Misfit::Quantised("GPTQ")).contains("`mars merge`"));
    }

    #[test]
    fn a_closed_pipe_is_recognised() {
        assert!(is_closed_pipe(&io_error(io::ErrorKind::BrokenPipe)));
        assert!(!is_closed_pipe(&Error::failed("x")));
    }
}
