//! JSON objects in which a name that occurs twice is an error, where `serde_json` would take the last.

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::collections::HashSet;
use std::{fmt, marker::PhantomData};

/// Names and values in the order of the text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Unique<T>(pub(super) Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Unique<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Once<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Once<T> {
            type Value = Unique<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique<T>, A::Error> {
                let mut all = Vec::new();
                while let Some(name) = map.next_key::<String>()? {
                    let value = map.next_value().map_err(|e| A::Error::custom(format!("`{name}`: {e}")))?;
                    all.push((name, value));
                }
                once(all.iter().map(|(name, _)| name.as_str())).map_err(A::Error::custom)?;
                Ok(Unique(all))
            }
        }
        deserializer.deserialize_map(Once(PhantomData))
    }
}

/// Makes sure that no name occurs twice.
pub(super) fn once<'a>(names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(format!("`{name}` occurs twice"));
        }
    }
    Ok(())
}
