//! How the program ends: an exit code, and one message with its causes.

use crate::escape;
use mars::{Error, ErrorKind, SearchConfig, mars_vlm::data::ProblemKind};
use std::{borrow::Cow, collections::BTreeSet, io, process::ExitCode};

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
    /// Another process works on the campaign, or holds all runs that are left.
    Locked = 75,
    /// Stopped by a scheduler's warning (SIGUSR1) ahead of a time limit, with a checkpoint: to be queued again.
    Requeue = 85,
    /// Stopped by the user (SIGINT), or for good (SIGTERM, SIGHUP), with a checkpoint.
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

/// Ends the program over its arguments, which help and version are too. What hides in an argument is shown.
pub(crate) fn usage(error: &clap::Error) -> ! {
    let plain = error.render().to_string();
    match escape::text(&plain) {
        Cow::Owned(shown) if error.use_stderr() => {
            // Nothing is left to do where stderr is closed.
            let _ = io::Write::write_all(&mut io::stderr(), shown.as_bytes());
            std::process::exit(Exit::Usage as i32)
        }
        _ => error.exit(),
    }
}

/// The settings that leave out samples with defects of these kinds, in brackets; empty if they are all set.
pub(crate) fn leaving_out(kinds: impl Iterator<Item = ProblemKind>, config: &SearchConfig) -> String {
    let set = config.data.leave_out();
    let missing: BTreeSet<&str> = kinds.filter(|kind| !set.covers(*kind)).filter_map(leaves_out).collect();
    let missing: Vec<&str> = missing.into_iter().collect();
    if missing.is_empty() { String::new() } else { format!(" (left out with {})", missing.join(", ")) }
}

/// The setting that leaves out samples with a defect of this kind, if one does.
fn leaves_out(kind: ProblemKind) -> Option<&'static str> {
    match kind {
        ProblemKind::TooLong => Some("data.too_long=drop"),
        ProblemKind::ImageUnavailable => None,
        _ => Some("data.bad_sample=drop"),
    }
}

/// What `explain` makes of an error, with what this command offers against it, which is lost with the type of the error.
pub(crate) fn explained(error: Error, explain: impl FnOnce(Error) -> Error) -> Error {
    match (remedy(&error), explain(error)) {
        (Some(remedy), Error::Stated { kind, message, cause }) => {
            Error::Stated { kind, message: format!("{message} ({remedy})"), cause }
        }
        (_, explained) => explained,
    }
}

/// What this command offers against an error of a library, which names no command.
fn remedy(error: &Error) -> Option<&'static str> {
    use mars::mars_vlm::{
        Error::{Data, ExtraTensors, MissingTensor, TooLarge, WrongShape},
        Misfit,
    };
    if let Error::Calib(mars::mars_calib::Error::Changed { .. }) = error {
        return Some(
            "use --accept-changes to continue there and reuse the runs that are identical under both",
        );
    }
    let Error::Vlm(error) = error else { return None };
    match error {
        MissingTensor { cause, .. } | WrongShape { cause, .. } | ExtraTensors { cause, .. } => {
            (*cause == Misfit::Adapter).then_some("use `mars merge`")
        }
        TooLarge { .. } => Some("the setting is model.dtype"),
        Data(problem) if problem.kind == ProblemKind::TooLong => Some(
            "the setting data.too_long=drop leaves such samples out; data.max_tokens is the longest sequence",
        ),
        Data(_) => Some("the setting data.bad_sample=drop leaves such samples out"),
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
        assert!(extra(mars::mars_vlm::Misfit::Adapter).ends_with("(use `mars merge`)"));
        assert!(!extra(mars::mars_vlm::Misfit::Quantised("GPTQ")).contains("`mars merge`"));
    }

    #[test]
    fn what_is_offered_outlives_the_type_of_the_error() {
        let changed = || mars::mars_calib::Error::Changed { path: PathBuf::from("run"), changes: Vec::new() };
        assert!(describe(&changed().into()).ends_with("identical under both)"));
        let stated = explained(changed().into(), |error| Error::usage(error.to_string()));
        assert_eq!(describe(&stated).matches("(use --accept-changes to continue there").count(), 1);
        let kept = explained(changed().into(), |error| error);
        assert_eq!(describe(&kept).matches("--accept-changes").count(), 1);
    }

    #[test]
    fn a_setting_is_offered_for_the_samples_that_it_leaves_out() {
        use ProblemKind::{ImageMissing, ImageUnavailable, TooLong};
        let offered = |kinds: &[ProblemKind]| leaving_out(kinds.iter().copied(), &SearchConfig::default());
        assert_eq!(offered(&[ImageMissing]), " (left out with data.bad_sample=drop)");
        assert_eq!(
            offered(&[TooLong, ImageUnavailable, ImageMissing]),
            " (left out with data.bad_sample=drop, data.too_long=drop)"
        );
        assert_eq!(offered(&[ImageUnavailable]), "", "no setting does");
    }

    #[test]
    fn a_closed_pipe_is_recognised() {
        assert!(is_closed_pipe(&io_error(io::ErrorKind::BrokenPipe)));
        assert!(!is_closed_pipe(&Error::failed("x")));
    }
}
