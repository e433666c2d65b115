//! Why a record is no sample.

use serde_json::Value;

/// What a record should have had, what it has, and the remedy.
pub(super) struct Defect(pub(super) String, pub(super) String, pub(super) &'static str);

pub(super) type Parsed<T> = Result<T, Defect>;

/// The error of a record that should have had `expected` and has `actual`.
pub(super) fn defect<T>(
    expected: impl Into<String>,
    actual: impl Into<String>,
    remedy: &'static str,
) -> Parsed<T> {
    Err(Defect(expected.into(), actual.into(), remedy))
}

/// The type of a JSON value, in words.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
