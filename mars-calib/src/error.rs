//! Everything that can go wrong in this crate, with the value, the path and what to do.

use std::path::{Path, PathBuf};

/// What failed, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A run specification that cannot be trained.
    #[error("run specification: {field} is {value}, but {rule}")]
    Spec {
        /// Name of the field.
        field: &'static str,
        /// Its value, as text.
        value: String,
        /// What it must be.
        rule: String,
    },
    /// Another process works on the campaign.
    #[error(
        "{} is being worked on by {holder}; wait for it to end, or use another directory", .path.display()
    )]
    Locked {
        /// The campaign directory.
        path: PathBuf,
        /// Process id and host of the holder, as it wrote them.
        holder: String,
    },
    /// The file system of the campaign has no locks, without which no process can have it for itself. The same call cannot
    /// succeed later.
    #[error(
        "the file system of {} does not support file locks, which are needed for exclusive access to the campaign; mount it \
         with locks (Lustre: with the option flock), or use a directory on another file system", .path.display()
    )]
    NoLocks {
        /// The file that was to be locked.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The directory holds a campaign with other settings or other data.
    #[error(
        "{} holds a campaign with other settings:\n{}\n  use another directory, or restore the old values",
        .path.display(), .changes.join("\n")
    )]
    Changed {
        /// The campaign directory.
        path: PathBuf,
        /// One line for each difference: key, old value, new value.
        changes: Vec<String>,
    },
    /// A file of the campaign that should be readable is not.
    #[error("{}: {why}", .path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// The command template of an external trainer is not usable.
    #[error("command template: {why}")]
    Template {
        /// What is wrong with it.
        why: String,
    },
    /// A setting of an external trainer that is not usable.
    #[error("trainer: {field} is {value}, but {rule}")]
    Trainer {
        /// Name of the setting.
        field: String,
        /// Its value, as text.
        value: String,
        /// What it must be.
        rule: String,
    },
    /// A name that is not one of a closed set.
    #[error("there is no {what} `{name}`; there are {known}")]
    Unknown {
        /// What was asked for.
        what: &'static str,
        /// The name.
        name: String,
        /// The names that exist.
        known: String,
    },
    /// The model, an adapter or a batch.
    #[error(transparent)]
    Lora(#[from] mars_lora::Error),
    /// The operating system refused a file operation.
    #[error("cannot {action} {}", .path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    /// Whether it is no property of the runs under way, which would be taken for bad candidates: the system refused to read
    /// or write, or a file of the model or the data has changed.
    pub(crate) fn is_outside_the_runs(&self) -> bool {
        use mars_lora::Error::{BadFile, Io};
        matches!(self, Self::Io { .. } | Self::Lora(Io { .. } | BadFile { .. }))
    }

    /// [`Error::Corrupt`] or [`Error::Io`] for `map_err` of a reading: the first where the content of the file is not what is
    /// read there.
    pub(crate) fn reading(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| match mars_lora::stored::regular::is_content(&source) {
            true => Self::Corrupt { path, why: source.to_string() },
            false => Self::Io { action: "read", path, source },
        }
    }

    /// Turns a system error into [`Error::Io`] for `map_err`.
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// An [`Error::Spec`] from what `mars-lora` says of a part of the specification.
    pub(crate) fn of_spec(error: mars_lora::Error) -> Self {
        match error {
            mars_lora::Error::BadValue { name, value, expected } => {
                Self::spec(name, value, format!("it must be {expected}"))
            }
            mars_lora::Error::Variant { .. } => {
                Self::spec("dora", true, "it cannot begin with PiSSA; choose another init")
            }
            other => Self::Lora(other),
        }
    }

    /// An [`Error::Spec`].
    pub(crate) fn spec(field: &'static str, value: impl ToString, rule: impl Into<String>) -> Self {
        Self::Spec { field, value: value.to_string(), rule: rule.into() }
    }
}
