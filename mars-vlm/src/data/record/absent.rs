//! What counts as absent: columnar stores give every row all keys that any row has, with null where there is nothing.

use serde_json::{Map, Value};

/// Whether a value stands for nothing: null, or an object with keys of which every value is absent.
pub(crate) fn is_absent(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(object) => !object.is_empty() && object.values().all(is_absent),
        _ => false,
    }
}

/// The value under `key`, if it is there and stands for something.
pub(super) fn present<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !is_absent(value))
}

/// Turns `{"a": [..], "b": [..]}`, as sequences of objects may be stored, into a list of objects. Columns that are
/// null are keys that no object has.
pub(crate) fn transpose(value: &Value) -> Option<Value> {
    let columns = value.as_object()?.iter().filter(|(_, column)| !column.is_null());
    let columns: Vec<(&String, &Vec<Value>)> =
        columns.map(|(name, column)| Some((name, column.as_array()?))).collect::<Option<_>>()?;
    let length = columns.first()?.1.len();
    if columns.iter().any(|(_, column)| column.len() != length) {
        return None;
    }
    let object = |k: usize| -> Map<String, Value> {
        columns.iter().map(|(name, column)| ((*name).clone(), column[k].clone())).collect()
    };
    Some((0..length).map(|k| Value::Object(object(k))).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn null_and_objects_of_nulls_are_absent() {
        for nothing in [json!(null), json!({"path": null, "bytes": null}), json!({"url": {"detail": null}})] {
            assert!(is_absent(&nothing), "{nothing}");
        }
        for something in [json!({}), json!([]), json!(""), json!(0), json!(false), json!({"path": ""})] {
            assert!(!is_absent(&something), "{something}");
        }
    }

    #[test]
    fn columns_become_rows() {
        let columns = json!({"from": ["human", "gpt"], "value": ["a", "b"], "weight": null});
        let rows = json!([{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]);
        assert_eq!(transpose(&columns), Some(rows));
        for other in [json!({}), json!({"a": 1}), json!({"a": [1], "b": []}), json!([]), json!({"a": null})] {
            assert_eq!(transpose(&other), None, "{other}");
        }
    }
}
