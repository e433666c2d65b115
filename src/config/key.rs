//! Dotted keys of settings: which there are, of which type, and what an unknown one may have meant.
//!
//! The type of a setting is that of its default in the default configuration.

use toml::{Table, Value};

/// Settings that were renamed, by their old keys, which files and campaigns may still have.
pub(super) const RENAMED: [(&str, &str); 1] = [("search.fine_tunes", "search.budget")];

/// The key of today for `key`.
pub(super) fn current(key: &str) -> &str {
    RENAMED.iter().find(|(old, _)| *old == key).map_or(key, |(_, new)| new)
}

/// The type of the values of a table with free keys, mostly names of modules, by example.
fn by_name(table: &str) -> Option<Value> {
    match table {
        "train.learning_rates" => Some(Value::Float(0.0)),
        "search.candidates" => Some(Value::Array(vec![Value::Integer(0)])),
        "trainer.parameters_per_rank" => Some(Value::Integer(0)),
        "trainer.environment" => Some(Value::String(String::new())),
        _ => None,
    }
}

/// Whether `key` is an entry of a table with free keys.
pub(super) fn is_free(key: &str) -> bool {
    key.rsplit_once('.').is_some_and(|(table, _)| by_name(table).is_some())
}

/// The default value of `key`, or one of the same type where keys are free; `None` if there
/// is no such setting.
pub(super) fn example(defaults: &Table, key: &str) -> Option<Value> {
    if let Some((table, name)) = key.rsplit_once('.')
        && let Some(value) = by_name(table)
    {
        return (!name.is_empty()).then_some(value);
    }
    let mut parts = key.split('.');
    let mut value = defaults.get(parts.next()?)?;
    for part in parts {
        value = value.as_table()?.get(part)?;
    }
    (!value.is_table()).then(|| value.clone())
}

/// The value at `key`, if there is one.
pub(super) fn get<'a>(table: &'a Table, key: &str) -> Option<&'a Value> {
    match key.split_once('.') {
        None => table.get(key),
        Some((section, rest)) => get(table.get(section)?.as_table()?, rest),
    }
}

/// All keys of `table` that hold values.
pub(super) fn leaves(table: &Table) -> Vec<(String, Value)> {
    fn walk(prefix: &str, table: &Table, into: &mut Vec<(String, Value)>) {
        for (key, value) in table {
            let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
            match value {
                Value::Table(inner) => walk(&key, inner, into),
                value => into.push((key, value.clone())),
            }
        }
    }
    let mut all = Vec::new();
    walk("", table, &mut all);
    all
}

/// Puts `value` at `key`, making tables on the way.
pub(super) fn put(table: &mut Table, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            table.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let inner = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = inner {
                put(inner, rest, value);
            }
        }
    }
}

/// The known key nearest to `key` in spelling, if one is near.
pub(super) fn nearest(defaults: &Table, key: &str) -> Option<String> {
    leaves(defaults)
        .into_iter()
        .map(|(known, _)| (distance(&known, key), known))
        .min()
        .filter(|(distance, known)| *distance <= 2.max(known.len() / 4))
        .map(|(_, known)| known)
}

/// The sections, for messages.
pub(super) fn sections(defaults: &Table) -> String {
    let names: Vec<&str> = defaults.keys().map(String::as_str).collect();
    format!("the sections {}", names.join(", "))
}

/// Levenshtein distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshtein() {
        for (a, b, expected) in
            [("", "", 0), ("abc", "abc", 0), ("kitten", "sitting", 3), ("", "ab", 2), ("ab", "ba", 2)]
        {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }
}
