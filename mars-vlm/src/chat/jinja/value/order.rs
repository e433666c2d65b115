//! Which of two values is smaller.

use super::{
    super::{budget::Budget, fault::Fault},
    Value,
    compare::equal,
};
use std::cmp::Ordering;

/// The order of `a` and `b`; `None` if one of them is not a number.
///
/// # Errors
/// For values of types that have no order, and if no steps are left.
pub(in super::super) fn order(a: &Value, b: &Value, budget: &Budget) -> Result<Option<Ordering>, Fault> {
    budget.steps(1)?;
    match (a.defined()?, b.defined()?) {
        (Value::Str(a), Value::Str(b)) => {
            budget.scan(a.len().min(b.len()))?;
            Ok(Some(a.cmp(b)))
        }
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            for (a, b) in a.items().iter().zip(b.items()) {
                if !equal(a, b, budget)? {
                    return order(a, b, budget);
                }
            }
            Ok(Some(a.items().len().cmp(&b.items().len())))
        }
        (a, b) => match (a.as_int(), b.as_int(), a.as_float(), b.as_float()) {
            (Some(a), Some(b), ..) => Ok(Some(a.cmp(&b))),
            (_, _, Some(a), Some(b)) => Ok(a.partial_cmp(&b)),
            _ => {
                let what =
                    format!("'<' not supported between instances of '{}' and '{}'", a.kind(), b.kind());
                Err(Fault::new(what))
            }
        },
    }
}
