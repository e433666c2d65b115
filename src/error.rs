//! The one error of the front door, and the kind that decides what a program does about it.

use mars_lora::stored::regular;
use std::{
    error::Error as StdError,
    io,
    path::{Path, PathBuf},
};

/// What sort of failure an [`Error`] is. The command `mars` gives each kind an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A setting or an argument is wrong: change it before the next attempt.
    Usage,
    /// The model, the data or another file cannot be used as it is.
    Input,
    /// The work does not fit into memory.
    Memory,
    /// The system refused to read or write; the same call may succeed later.
    Io,
    /// Another process holds the campaign.
    Locked,
    /// Stopped on request, with checkpoints; the same call continues.
    Interrupted,
    /// A run or the search failed.
    Failed,
}

/// An error of a task, a plan, a search or a comparison.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Found by this crate: what is wrong, where, and what to do.
    #[error("{message}")]
    Stated {
        /// What sort of failure it is.
        kind: ErrorKind,
        /// What is wrong and what to do.
        message: String,
        /// The underlying error, if there is one.
        #[source]
        cause: Option<Box<dyn StdError + Send + Sync>>,
    },
    /// A file could not be read or written.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was attempted, as an infinitive: `read`, `write`.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// An error of `mars-laws`.
    #[error(transparent)]
    Laws(#[from] mars_laws::Error),
    /// An error of `mars-search`.
    #[error(transparent)]
    Search(#[from] mars_search::Error),
    /// An error of `mars-lora`.
    #[error(transparent)]
    Lora(#[from] mars_lora::Error),
    /// An error of `mars-vlm`.
    #[error(transparent)]
    Vlm(#[from] mars_vlm::Error),
    /// An error of `mars-calib`.
    #[error(transparent)]
    Calib(#[from] mars_calib::Error),
}

impl Error {
    /// An error of `kind` with a message that says what is wrong and what to do.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self::Stated { kind, message: message.into(), cause: None }
    }

    /// A wrong setting or argument.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Usage, message)
    }

    /// A model, data or other file that cannot be used.
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, message)
    }

    /// A run or search that failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Failed, message)
    }

    /// Stopped on request.
    pub fn interrupted() -> Self {
        Self::new(ErrorKind::Interrupted, "interrupted; the same call continues from here")
    }

    /// For `map_err`: a file that could not be read or written.
    pub fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Why a file that the user names cannot be read: `stated` with the cause, where that is about the file, such as one that is
    /// not there, otherwise that the system could not read it, after which the same call may succeed.
    pub fn reading(path: &Path, cause: io::Error, stated: Self) -> Self {
        if regular::is_absence(&cause) || regular::is_content(&cause) {
            stated.because(cause)
        } else {
            Self::io("read", path)(cause)
        }
    }

    /// The same error with `cause` as its source; errors of other crates, which have their own, stay as they are.
    #[must_use]
    pub fn because(self, cause: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        match self {
            Self::Stated { kind, message, .. } => Self::Stated { kind, message, cause: Some(cause.into()) },
            other => other,
        }
    }

    /// What sort of failure it is.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Stated { kind, .. } => *kind,
            Self::Io { .. } => ErrorKind::Io,
            Self::Laws(error) => laws(error),
            Self::Search(error) => search(error),
            Self::Lora(error) => lora(error),
            Self::Vlm(error) => vlm(error),
            Self::Calib(error) => calib(error),
        }
    }

    /// The message followed by those of its causes, each once.
    pub fn messages(&self) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        let mut next: Option<&dyn StdError> = Some(self);
        while let Some(error) = next {
            let message = error.to_string();
            if !all.iter().any(|known| known.contains(&message)) {
                all.push(message);
            }
            next = error.source();
        }
        all
    }
}

fn laws(error: &mars_laws::Error) -> ErrorKind {
    match error {
        mars_laws::Error::BadOption { .. } => ErrorKind::Usage,
        _ => ErrorKind::Input,
    }
}

fn search(error: &mars_search::Error) -> ErrorKind {
    use mars_search::Error::{Budget, NotRecorded, PolicyName, PolicySetting, PolicyTwice, Space};
    match error {
        Space { .. } | Budget { .. } | PolicyName { .. } | PolicyTwice { .. } | PolicySetting { .. } => {
            ErrorKind::Usage
        }
        NotRecorded { .. } => ErrorKind::Input,
        _ => ErrorKind::Failed,
    }
}

fn lora(error: &mars_lora::Error) -> ErrorKind {
    use mars_lora::Error::{BadPattern, BadValue, Io, NothingAdapted, RankTooLarge, UnknownModule, Variant};
    match error {
        RankTooLarge { .. } | NothingAdapted { .. } | UnknownModule { .. } => ErrorKind::Usage,
        BadPattern { .. } | BadValue { .. } | Variant { .. } => ErrorKind::Usage,
        Io { source, .. } => reading(source),
        _ => ErrorKind::Input,
    }
}

fn vlm(error: &mars_vlm::Error) -> ErrorKind {
    match error {
        mars_vlm::Error::Io { source, .. } => reading(source),
        mars_vlm::Error::Network { .. } => ErrorKind::Io,
        mars_vlm::Error::Argument(_) | mars_vlm::Error::TooLarge { .. } => ErrorKind::Usage,
        _ => ErrorKind::Input,
    }
}

fn calib(error: &mars_calib::Error) -> ErrorKind {
    use mars_calib::Error::{Changed, Corrupt, Io, Locked, Lora, NoLocks, Spec, Template, Trainer, Unknown};
    match error {
        Locked { .. } => ErrorKind::Locked,
        // As every wrong place for a campaign, and nothing that the same call gets over.
        NoLocks { .. } => ErrorKind::Usage,
        Changed { .. } | Spec { .. } | Template { .. } | Trainer { .. } | Unknown { .. } => ErrorKind::Usage,
        Corrupt { .. } => ErrorKind::Input,
        Io { .. } => ErrorKind::Io,
        Lora(error) => lora(error),
        _ => ErrorKind::Failed,
    }
}

/// A user's file that is not there is bad input; one that cannot be read now may be readable later.
fn reading(source: &io::Error) -> ErrorKind {
    match source.kind() {
        io::ErrorKind::AlreadyExists => ErrorKind::Usage,
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::IsADirectory
        // No regular file, one that is longer than any of its kind, or no text.
        | io::ErrorKind::InvalidInput
        | io::ErrorKind::FileTooLarge
        | io::ErrorKind::InvalidData => ErrorKind::Input,
        _ => ErrorKind::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_error_is_told_apart() {
        let locked = mars_calib::Error::Locked { path: PathBuf::from("x"), holder: "process 1".into() };
        let missing = |kind| mars_vlm::Error::Io { path: PathBuf::from("x"), source: io::Error::from(kind) };
        let refused = || io::Error::from(io::ErrorKind::PermissionDenied);
        let no_locks = mars_calib::Error::NoLocks { path: PathBuf::from("x"), source: refused() };
        for (error, kind) in [
            (Error::usage("x"), ErrorKind::Usage),
            (Error::input("x").because("what"), ErrorKind::Input),
            (Error::interrupted(), ErrorKind::Interrupted),
            (locked.into(), ErrorKind::Locked),
            (no_locks.into(), ErrorKind::Usage),
            (missing(io::ErrorKind::NotFound).into(), ErrorKind::Input),
            (missing(io::ErrorKind::PermissionDenied).into(), ErrorKind::Io),
            (Error::io("read", Path::new("x"))(refused()), ErrorKind::Io),
            (Error::failed("anything else"), ErrorKind::Failed),
        ] {
            assert_eq!(error.kind(), kind, "{error:?}");
        }
    }

    #[test]
    fn a_file_that_is_none_is_told_from_a_disk_that_fails() {
        let kind = |cause: io::ErrorKind| {
            Error::reading(Path::new("x"), io::Error::from(cause), Error::usage("no x")).kind()
        };
        assert_eq!(kind(io::ErrorKind::NotFound), ErrorKind::Usage);
        assert_eq!(kind(io::ErrorKind::InvalidData), ErrorKind::Usage);
        assert_eq!(kind(io::ErrorKind::PermissionDenied), ErrorKind::Io);
        assert_eq!(kind(io::ErrorKind::Other), ErrorKind::Io);
    }

    #[test]
    fn causes_are_reported_once() {
        let inner = Error::io("write", Path::new("x"))(io::Error::other("disk on fire"));
        let error = Error::failed("saving the report: cannot write x").because(inner);
        assert_eq!(error.messages(), ["saving the report: cannot write x", "disk on fire"]);
    }
}
