//! Where the value of a setting comes from, for messages about it.

use super::{Layers, key};
use crate::{Error, ErrorKind};
use std::{collections::BTreeMap, fmt};

/// How messages begin to tell the origin of a setting.
const ORIGINS: [&str; 3] = ["is the default", "is that of the embedded task", "is from "];

/// Where the value of a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It was not set.
    Default,
    /// The settings of the embedded task, which lie over the defaults where no data are named.
    Embedded,
    /// A file, an environment variable, an assignment or a flag, as messages name it.
    Set(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("is the default"),
            Self::Embedded => f.write_str("is that of the embedded task"),
            Self::Set(source) => write!(f, "is from {source}"),
        }
    }
}

/// The origins of settings that were set, by key.
pub(super) type Origins = BTreeMap<String, Origin>;

/// Settings that name data, which errors about what is in them may name.
const DATA: [&str; 4] = ["data.train", "data.val", "data.test", "data.images"];

impl Layers {
    /// Where the value of the setting `key` comes from.
    pub fn origin(&self, key: &str) -> Origin {
        if let Some(origin) = self.origins.get(key) {
            return origin.clone();
        }
        let of_task = self.is_embedded() && key::example(&super::layers::preset(), key).is_some();
        if of_task { Origin::Embedded } else { Origin::Default }
    }

    /// The error with the origin of every setting that its message names, where it is about settings: errors of usage, and of
    /// memory and of data those that were set. What the message says already is not said again.
    #[must_use]
    pub fn with_origins(&self, error: Error) -> Error {
        let kind = error.kind();
        let counts = |key: &str| match kind {
            ErrorKind::Usage => true,
            ErrorKind::Memory => self.origins.contains_key(key),
            ErrorKind::Input => self.origins.contains_key(key) && DATA.contains(&key),
            _ => false,
        };
        let all = error.messages();
        let message = all.join(": ");
        let mut named: Vec<(usize, String)> = self
            .keys()
            .filter_map(|key| Some((place_of(&message, &key)?, key)))
            .filter(|(_, key)| counts(key))
            .filter(|(_, key)| !ORIGINS.iter().any(|origin| message.contains(&format!("{key} {origin}"))))
            .collect();
        named.sort();
        let said: Vec<String> =
            named.into_iter().map(|(_, key)| format!("{key} {}", self.origin(&key))).collect();
        if said.is_empty() {
            return error;
        }
        let (first, causes) = all.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        let stated = Error::new(kind, format!("{first} ({})", said.join("; ")));
        if causes.is_empty() { stated } else { stated.because(causes.join(": ")) }
    }

    /// All settings there are by default, and those with free names that were set.
    fn keys(&self) -> impl Iterator<Item = String> {
        let known = key::leaves(&self.defaults).into_iter().map(|(key, _)| key);
        let free: Vec<String> = self.origins.keys().filter(|key| key::is_free(key)).cloned().collect();
        known.chain(free)
    }
}

/// Where `message` names `key`, and not a longer one that begins or ends like it.
fn place_of(message: &str, key: &str) -> Option<usize> {
    let inside = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-' | '/');
    message.match_indices(key).map(|(at, _)| at).find(|at| {
        let before = message[..*at].chars().next_back();
        let mut after = message[at + key.len()..].chars();
        let longer = match after.next() {
            Some('.') => after.next().is_some_and(char::is_alphanumeric),
            Some(next) => inside(next),
            None => false,
        };
        !longer && !before.is_some_and(|before| inside(before) || before == '.')
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Layers, Origin, place_of};
    use crate::{Error, ErrorKind};

    #[test]
    fn a_check_names_the_setting_and_where_it_was_set() {
        let refused = |put: &dyn Fn(&mut Layers)| {
            let mut layers = Layers::new();
            put(&mut layers);
            layers.config().unwrap_err().to_string()
        };
        let file = refused(&|layers| layers.text("[search]\nranks = [0]", "/etc/mars.toml").unwrap());
        assert!(file.contains("search.ranks is from /etc/mars.toml"), "{file}");
        let variable = ("MARS_RUN_EVAL_BATCH".to_owned(), "0".to_owned());
        let environment = refused(&|layers| layers.environment([variable.clone()]).unwrap());
        assert!(
            environment.contains("run.eval_batch is from environment variable MARS_RUN_EVAL_BATCH"),
            "{environment}"
        );
        let assignment = refused(&|layers| layers.assignment("lora.dropout=2").unwrap());
        assert!(assignment.contains("lora.dropout is 2"), "{assignment}");
        assert!(assignment.contains("lora.dropout is from --set lora.dropout=2"), "{assignment}");
        let flag = refused(&|layers| layers.option("search.policy", "fixed:1x2x3", "--policy").unwrap());
        assert!(flag.contains("search.policy is from --policy"), "{flag}");
        // Said once, whatever other settings would say.
        let mut layers = Layers::new();
        layers.option("search.policy", "fixed:1x2x3", "--policy").unwrap();
        let again = Layers::new().with_origins(layers.config().unwrap_err()).to_string();
        assert_eq!(
            again.matches("search.policy is ").count(),
            flag.matches("search.policy is ").count(),
            "{again}"
        );
        let free = refused(&|layers| layers.assignment("train.learning_rates.ve=-1").unwrap());
        assert!(free.contains("train.learning_rates.ve is -1"), "{free}");
        assert!(free.contains("train.learning_rates.ve is from --set"), "{free}");
        // One that was set against one that was not.
        let two = refused(&|layers| layers.assignment("lora.modules=[\"ve\"]").unwrap());
        assert!(two.contains("search.reference is the default; lora.modules is from --set"), "{two}");
    }

    #[test]
    fn errors_about_other_things_stay_as_they_are() {
        let mut layers = Layers::new();
        layers.assignment("train.batch=64").unwrap();
        let input = Error::input("train.batch");
        assert_eq!(layers.with_origins(input).to_string(), "train.batch");
        layers.assignment("data.images=images").unwrap();
        let images = layers.with_origins(Error::input("data.images, data.val"));
        assert_eq!(
            images.to_string(),
            "data.images, data.val (data.images is from --set data.images=images)"
        );
        assert_eq!(images.kind(), ErrorKind::Input);
        let memory = Error::new(ErrorKind::Memory, "lower train.batch or run.stack");
        let said = layers.with_origins(memory);
        assert_eq!(
            said.to_string(),
            "lower train.batch or run.stack (train.batch is from --set train.batch=64)"
        );
        assert_eq!(said.kind(), ErrorKind::Memory);
        assert_eq!(layers.with_origins(said).to_string().matches("is from").count(), 1);
        assert_eq!(layers.origin("train.steps"), Origin::Embedded);
        assert_eq!(layers.origin("search.kappa"), Origin::Default);
    }

    #[test]
    fn a_name_within_a_longer_one_is_none() {
        assert_eq!(place_of("train.learning_rates.ve is 1", "train.learning_rate"), None);
        assert_eq!(place_of("x.train.steps", "train.steps"), None);
        assert_eq!(place_of("lower train.steps.", "train.steps"), Some(6));
        assert_eq!(place_of("train.stepsize, train.steps: 1", "train.steps"), Some(16));
    }
}
