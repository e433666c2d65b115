//! Values from JSON.

use super::{
    budget::Budget,
    fault::Fault,
    value::{Dict, Value},
};
use serde_json::Value as Json;
use std::rc::Rc;

/// The value that Python's `json.loads` makes of it.
///
/// # Errors
/// For whole numbers beyond 64 bits, and what is nested too deeply or exceeds the budget.
pub(super) fn value(json: &Json, budget: &Budget) -> Result<Value, Fault> {
    Ok(match json {
        Json::Null => Value::None,
        Json::Bool(b) => Value::Bool(*b),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => Value::Int(whole),
            (None, Some(float)) if !number.is_u64() => Value::Float(float),
            _ => return Err(Fault::new(format!("the number {number} does not fit into 64 bits"))),
        },
        Json::String(text) => Value::text(text.as_str()),
        Json::Array(items) => {
            budget.values(items.len())?;
            let items =
                budget.deeper(|| items.iter().map(|item| value(item, budget)).collect::<Result<_, _>>())?;
            Value::list(items)?
        }
        Json::Object(map) => {
            budget.values(2 * map.len())?;
            let pairs = budget.deeper(|| {
                map.iter().map(|(key, item)| Ok((Value::text(key.as_str()), value(item, budget)?))).collect()
            })?;
            Value::Dict(Rc::new(Dict::new(pairs, budget)?))
        }
    })
}
