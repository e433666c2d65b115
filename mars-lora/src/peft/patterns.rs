//! `rank_pattern` and `alpha_pattern`: values by regular expression, of which the first that matches counts.

use super::allowance::Allowance;
use super::path_ends::PathEnds;
use super::python::PythonRegex;
use crate::Error;
use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::HashMap;
use std::{fmt, marker::PhantomData};

/// Values by regular expression, in the order of the file.
///
/// PEFT asks of each key K whether `(.*\.)?(K)$` matches from the beginning of the module path.
/// So a key that is a module's name selects every module whose path ends in it after a dot, and the order
/// decides where several keys match. A key that occurs twice keeps its first place and takes its last value, as
/// in a Python dict.
#[derive(Clone, Debug, PartialEq)]
pub struct Patterns<T>(pub Vec<(String, T)>);

impl<T> Default for Patterns<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Patterns<T> {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keys and values in their order.
    pub fn iter(&self) -> impl Iterator<Item = &(String, T)> {
        self.0.iter()
    }
}

impl<T: Copy> Patterns<T> {
    pub(super) fn compile(&self, allowance: &mut Allowance) -> Result<Compiled<T>, Error> {
        let (mut ends, mut rules) = (PathEnds::default(), Vec::new());
        for (place, (key, value)) in self.0.iter().enumerate() {
            if !ends.insert(key, place, *value) {
                rules.push((place, PythonRegex::tail(key, allowance)?, *value));
            }
        }
        Ok(Compiled { ends, rules })
    }
}

/// Patterns ready for use.
#[derive(Clone, Debug)]
pub(super) struct Compiled<T> {
    ends: PathEnds<T>,
    /// The other keys, with their places in the file.
    rules: Vec<(usize, PythonRegex, T)>,
}

impl<T: Copy> Compiled<T> {
    /// The value of the first key that matches `path`.
    pub(super) fn first(&self, path: &str) -> Result<Option<T>, Error> {
        let end = self.ends.first(path);
        for (place, regex, value) in &self.rules {
            if end.is_some_and(|(before, _)| before < *place) {
                break;
            }
            if regex.matches(path)? {
                return Ok(Some(*value));
            }
        }
        Ok(end.map(|(_, value)| value))
    }
}

impl<T: Serialize> Serialize for Patterns<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Patterns<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for InOrder<T> {
            type Value = Patterns<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of regular expressions and numbers, or null")
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Patterns::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut all: Vec<(String, T)> = Vec::new();
                let mut places = HashMap::new();
                while let Some((key, value)) = map.next_entry::<String, T>()? {
                    // As a Python dict: a repeated key keeps its place and takes the later value.
                    match places.get(&key) {
                        Some(place) => all[*place] = (key, value),
                        None => {
                            places.insert(key.clone(), all.len());
                            all.push((key, value));
                        }
                    }
                }
                Ok(Patterns(all))
            }
        }
        deserializer.deserialize_any(InOrder(PhantomData))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn first(json: &str, path: &str) -> Option<usize> {
        let patterns: Patterns<usize> = serde_json::from_str(json).unwrap();
        patterns.compile(&mut Allowance::default()).unwrap().first(path).unwrap()
    }

    #[test]
    fn the_first_key_in_file_order_counts() {
        let json = r#"{"z.*\\.q": 3, "a.*": 4, ".*": 5}"#;
        assert_eq!(first(json, "z.1.q"), Some(3));
        assert_eq!(first(json, "m.a.q"), Some(4));
        assert_eq!(first(json, "b"), Some(5));
        assert_eq!(first(r#"{".*": 5, "z.*": 3}"#, "z.q"), Some(5));
        // Names and expressions in one order, and a name twice.
        for (json, value) in [
            (r#"{"q": 1, ".*": 2}"#, 1),
            (r#"{".*": 2, "q": 1}"#, 2),
            (r#"{"k": 3, "k|q": 4, "q": 5}"#, 4),
            (r#"{"q": 1, ".*": 2, "q": 3}"#, 3),
        ] {
            assert_eq!(first(json, "layers.0.q"), Some(value), "{json}");
        }
    }

    #[test]
    fn keys_match_as_in_peft() {
        // Values of `get_pattern_key` of peft 0.18.1 for the same keys and paths.
        assert_eq!(first(r#"{"vision_tower": 4}"#, "model.vision_tower.fc1"), None);
        assert_eq!(first(r#"{"vision_tower\\..*": 4}"#, "model.vision_tower.fc1"), Some(4));
        assert_eq!(first(r#"{"vision_tower\\..*": 4}"#, "vision_tower.fc1"), Some(4));
        assert_eq!(first(r#"{"tower\\..*": 4}"#, "vision_tower.fc1"), None);
        assert_eq!(first(r#"{"^model\\.q": 4}"#, "model.q"), Some(4));
        assert_eq!(first(r#"{"^q": 4}"#, "model.q"), None);
        assert_eq!(first(r#"{"a|b": 4}"#, "m.b"), Some(4));
        assert_eq!(first(r#"{"(?!text).*\\.q": 4}"#, "text.q"), None);
        assert_eq!(first(r#"{"(?!.*text).*q": 4}"#, "vision.q"), Some(4));
        assert_eq!(first("null", "m.b"), None);
    }
}
