//! Keys of records that were passed over, counted.

use super::absent::present;
use serde::Serialize;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt};

/// Names that are kept of each kind; a file could have a new one in each line.
const MOST: usize = 50;

/// Keys that a data set has and that mean nothing here, each with the number of its uses. Keys whose value is null,
/// or an empty text or list, do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UnusedKeys {
    /// Keys of samples, beside their turns.
    pub samples: BTreeMap<String, usize>,
    /// Keys of turns.
    pub turns: BTreeMap<String, usize>,
    /// Keys of the parts of a turn.
    pub parts: BTreeMap<String, usize>,
}

impl UnusedKeys {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty() && self.turns.is_empty() && self.parts.is_empty()
    }

    /// Counts those keys of a sample that are not `known`.
    pub(super) fn of_sample(&mut self, sample: &Map<String, Value>, known: impl Fn(&str) -> bool) {
        count(&mut self.samples, sample, known);
    }

    pub(super) fn of_turn(&mut self, turn: &Map<String, Value>, known: impl Fn(&str) -> bool) {
        count(&mut self.turns, turn, known);
    }

    pub(super) fn of_part(&mut self, part: &Map<String, Value>, known: impl Fn(&str) -> bool) {
        count(&mut self.parts, part, known);
    }

    /// Counts a column of a table that is not read, of `rows` rows.
    #[cfg_attr(not(feature = "parquet"), allow(dead_code))]
    pub(crate) fn of_column(&mut self, name: &str, rows: usize) {
        add(&mut self.samples, name, rows);
    }
}

fn count(into: &mut BTreeMap<String, usize>, object: &Map<String, Value>, known: impl Fn(&str) -> bool) {
    let says = |key: &str| {
        present(object, key).is_some_and(|value| *value != "" && *value != Value::Array(Vec::new()))
    };
    let keys = object.keys().filter(|key| !known(key) && says(key));
    keys.for_each(|key| add(into, key, 1));
}

fn add(into: &mut BTreeMap<String, usize>, key: &str, uses: usize) {
    if let Some(count) = into.get_mut(key) {
        *count += uses;
    } else if into.len() < MOST {
        into.insert(key.to_owned(), uses);
    }
}

/// `keys that are not used: "source" of 12 samples, "name" of 4 turns`
impl fmt::Display for UnusedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("keys that are not used:")?;
        let mut separator = " ";
        for (of, keys) in
            [("samples", &self.samples), ("turns", &self.turns), ("parts of turns", &self.parts)]
        {
            for (key, count) in keys {
                let key: String = key.chars().take(60).collect();
                write!(f, "{separator}{key:?} of {count} {of}")?;
                separator = ", ";
            }
        }
        Ok(())
    }
}
