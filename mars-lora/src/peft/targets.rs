//! `target_modules` and `exclude_modules` of a PEFT configuration.

use serde::{Deserialize, Serialize};

/// `target_modules` or `exclude_modules`: a regular expression for the whole path, or a list of path ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TargetModules {
    /// `re.fullmatch` on the module path; as a target, `all-linear` means every linear layer but the output.
    Pattern(String),
    /// Equal to the path, or to its end after a dot.
    Suffixes(Vec<String>),
}

/// One number or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMore<T> {
    One(T),
    More(Vec<T>),
}

impl<T> OneOrMore<T> {
    pub(super) fn as_slice(&self) -> &[T] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::More(all) => all,
        }
    }
}

/// PEFT's rule for lists: the path itself, or its end after a dot.
pub(super) fn ends_with(path: &str, suffix: &str) -> bool {
    path == suffix || path.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'))
}
