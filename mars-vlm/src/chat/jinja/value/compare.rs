//! Equality and membership.

use super::{
    super::{budget::Budget, fault::Fault},
    Value,
};
use std::rc::Rc;

/// Python's `a == b`.
///
/// # Errors
/// If no steps are left.
pub(in super::super) fn equal(a: &Value, b: &Value, budget: &Budget) -> Result<bool, Fault> {
    budget.steps(1)?;
    Ok(match (a, b) {
        (Value::Undefined(_), Value::Undefined(_)) | (Value::None, Value::None) => true,
        (Value::Str(a), Value::Str(b)) => {
            budget.scan(a.len().min(b.len()))?;
            a == b
        }
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            if a.items().len() != b.items().len() {
                return Ok(false);
            }
            for (a, b) in a.items().iter().zip(b.items()) {
                if !equal(a, b, budget)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Dict(a), Value::Dict(b)) => {
            if a.entries().len() != b.entries().len() {
                return Ok(false);
            }
            for (key, value) in a.entries() {
                let Some(other) = b.get(key, budget)? else { return Ok(false) };
                if !equal(value, other, budget)? {
                    return Ok(false);
                }
            }
            true
        }
        (Value::Namespace(a), Value::Namespace(b)) | (Value::Macro(a), Value::Macro(b)) => a == b,
        (Value::Loop(a), Value::Loop(b)) => Rc::ptr_eq(a, b),
        (Value::Generator(a), Value::Generator(b)) => Rc::ptr_eq(a, b),
        (Value::Function(a), Value::Function(b)) => a == b,
        _ => match (a.as_int(), b.as_int()) {
            (Some(a), Some(b)) => a == b,
            _ => matches!((a.as_float(), b.as_float()), (Some(a), Some(b)) if a == b),
        },
    })
}

/// Python's `needle in hay`.
///
/// # Errors
/// If nothing can be in `hay`, or no steps are left.
pub(in super::super) fn contains(hay: &Value, needle: &Value, budget: &Budget) -> Result<bool, Fault> {
    match hay {
        Value::Str(text) => {
            let Value::Str(part) = needle.defined()? else {
                let what = format!("'in <string>' requires string as left operand, not {}", needle.kind());
                return Err(Fault::new(what));
            };
            budget.scan(text.len() + part.len())?;
            Ok(text.contains(&**part))
        }
        Value::Dict(dict) => {
            if matches!(needle, Value::List(_) | Value::Dict(_)) {
                return Err(Fault::new(format!("unhashable type: '{}'", needle.kind())));
            }
            Ok(dict.get(needle, budget)?.is_some())
        }
        Value::List(seq) | Value::Tuple(seq) => {
            for item in seq.items() {
                if equal(item, needle, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        other => {
            budget.values(other.items_len())?;
            let Some(items) = other.items() else {
                return Err(Fault::new(format!("argument of type '{}' is not iterable", other.kind())));
            };
            for item in &items {
                if equal(item, needle, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
    }
}
