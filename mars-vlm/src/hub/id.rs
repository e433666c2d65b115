//! The name of a model on a hub.

use std::{fmt, str::FromStr};

/// Longest part of an id.
const LONGEST: usize = 96;

/// `OWNER/NAME`, followed by `@REVISION` where a revision other than `main` is meant.
///
/// Owner and name have 1 to 96 characters each: ASCII letters, digits, `-`, `_` and `.`, without `..` or `--`, and
/// not at an end `-` or `.`. A revision of 40 hexadecimal digits is a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelId {
    owner: String,
    name: String,
    revision: String,
}

impl ModelId {
    /// `OWNER/NAME`.
    pub fn path(&self) -> String {
        format!("{}/{}", self.owner, self.name)
    }

    /// A branch, a tag or a commit; default `main`.
    pub fn revision(&self) -> &str {
        &self.revision
    }

    /// The folder of the model in a cache.
    pub(super) fn folder(&self) -> String {
        format!("models--{}--{}", self.owner, self.name)
    }

    /// Whether the revision is a commit.
    pub(super) fn is_commit(&self) -> bool {
        is_commit(&self.revision)
    }
}

/// Whether `text` is the full name of a commit.
pub(super) fn is_commit(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
}

impl FromStr for ModelId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (path, revision) = text.split_once('@').unwrap_or((text, "main"));
        let Some((owner, name)) = path.split_once('/') else {
            return Err(format!("`{text}` is no model id, which is OWNER/NAME"));
        };
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let part = |part: &str| {
            (1..=LONGEST).contains(&part.len())
                && part.chars().all(allowed)
                && !part.contains("..")
                && !part.contains("--")
                && !part.starts_with(['-', '.'])
                && !part.ends_with(['-', '.'])
        };
        let branch = |revision: &str| {
            (1..=2 * LONGEST).contains(&revision.len())
                && revision.chars().all(|c| allowed(c) || c == '/')
                && !revision.contains("..")
                && !revision.contains("//")
                && !revision.starts_with('/')
                && !revision.ends_with('/')
        };
        if !(part(owner) && part(name) && branch(revision)) {
            return Err(format!("`{text}` is no model id, which is OWNER/NAME or OWNER/NAME@REVISION"));
        }
        Ok(Self { owner: owner.to_string(), name: name.to_string(), revision: revision.to_string() })
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.revision.as_str() {
            "main" => write!(f, "{}/{}", self.owner, self.name),
            revision => write!(f, "{}/{}@{revision}", self.owner, self.name),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_told_from_paths() {
        for text in [
            "HuggingFaceTB/SmolVLM-256M-Instruct",
            "Qwen/Qwen2.5-VL-3B-Instruct",
            "a/b@v1.0",
            "a/b@refs/pr/3",
        ] {
            assert_eq!(text.parse::<ModelId>().unwrap().to_string(), text);
        }
        assert_eq!("a/b@main".parse::<ModelId>().unwrap().to_string(), "a/b");
        assert_eq!("a/b".parse::<ModelId>().unwrap().folder(), "models--a--b");
        for text in [
            "model", "./model", "../model", "/a/b", "a/b/c", "a/b/", "a/..", "a--b/c", "a/b c", "a/b@",
            "a/b@../x", "~/b",
        ] {
            assert!(text.parse::<ModelId>().is_err(), "{text}");
        }
    }
}
