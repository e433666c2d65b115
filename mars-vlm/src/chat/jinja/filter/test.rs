//! Tests, as in `x is defined`.

use super::super::{
    fault::Fault,
    run::{Given, Machine},
    value::{Value, contains, equal, order},
};
use std::cmp::Ordering;

impl Machine<'_> {
    /// Whether the test `name` holds for `value`.
    ///
    /// # Errors
    /// For a test that there is not, arguments that do not fit, and beyond the budget.
    pub(in super::super) fn test(&self, name: &str, value: &Value, given: Given) -> Result<bool, Fault> {
        self.budget.steps(1)?;
        let comparison =
            match name {
                "eq" | "equalto" | "==" | "ne" | "!=" | "lt" | "lessthan" | "<" | "le" | "<=" | "gt"
                | "greaterthan" | ">" | "ge" | ">=" | "in" | "sameas" | "divisibleby" => {
                    let [other] = given.clone().bind(name, ["other"])?;
                    Some(other.ok_or_else(|| {
                        Fault::new(format!("the test {name} needs a value to compare with"))
                    })?)
                }
                _ => {
                    let [] = given.clone().bind(name, [])?;
                    None
                }
            };
        let other = comparison.unwrap_or_else(Value::undefined);
        let ordered =
            |wanted: fn(Ordering) -> bool| Ok(order(value, &other, &self.budget)?.is_some_and(wanted));
        let cased = |changed: fn(&str) -> String, unchanged: fn(&str) -> String| {
            let text = self.as_text(value)?;
            self.budget.scan(text.len())?;
            Ok(*changed(&text) != *text && *unchanged(&text) == *text)
        };
        match name {
            "defined" => Ok(!matches!(value, Value::Undefined(_))),
            "undefined" => Ok(matches!(value, Value::Undefined(_))),
            "none" => Ok(matches!(value, Value::None)),
            "boolean" => Ok(matches!(value, Value::Bool(_))),
            "true" => Ok(matches!(value, Value::Bool(true))),
            "false" => Ok(matches!(value, Value::Bool(false))),
            "integer" => Ok(matches!(value, Value::Int(_))),
            "float" => Ok(matches!(value, Value::Float(_))),
            "number" => Ok(value.as_float().is_some()),
            "string" => Ok(matches!(value, Value::Str(_))),
            "mapping" => Ok(matches!(value, Value::Dict(_))),
            "sequence" => Ok(matches!(
                value,
                Value::Undefined(_) | Value::Str(_) | Value::List(_) | Value::Tuple(_) | Value::Dict(_)
            )),
            "iterable" => Ok(matches!(
                value,
                Value::Undefined(_)
                    | Value::Str(_)
                    | Value::List(_)
                    | Value::Tuple(_)
                    | Value::Dict(_)
                    | Value::Generator(_)
                    | Value::Loop(_)
            )),
            "callable" => Ok(matches!(
                value,
                Value::Undefined(_)
                    | Value::Macro(_)
                    | Value::Function(_)
                    | Value::Method(_)
                    | Value::Loop(_)
            )),
            "escaped" => Ok(false),
            "odd" | "even" => {
                let number = value.defined()?.as_float();
                let number =
                    number.ok_or_else(|| Fault::new(format!("the test {name} is one of numbers")))?;
                Ok(number.rem_euclid(2.0) == f64::from(u8::from(name == "odd")))
            }
            "divisibleby" => match (value.defined()?.as_int(), other.as_int()) {
                (Some(_), Some(0)) => Err(Fault::new("division by zero")),
                (Some(a), Some(b)) => Ok(a.checked_rem(b).unwrap_or(0) == 0),
                _ => Err(Fault::new("the test divisibleby is one of whole numbers")),
            },
            "lower" => cased(str::to_uppercase, str::to_lowercase),
            "upper" => cased(str::to_lowercase, str::to_uppercase),
            "filter" | "test" => Err(Fault::new(format!("the test {name} is not known here"))),
            "eq" | "equalto" | "==" => equal(value, &other, &self.budget),
            "ne" | "!=" => Ok(!equal(value, &other, &self.budget)?),
            "sameas" => Ok(value.kind() == other.kind() && equal(value, &other, &self.budget)?),
            "lt" | "lessthan" | "<" => ordered(Ordering::is_lt),
            "le" | "<=" => ordered(Ordering::is_le),
            "gt" | "greaterthan" | ">" => ordered(Ordering::is_gt),
            "ge" | ">=" => ordered(Ordering::is_ge),
            "in" => contains(&other, value, &self.budget),
            _ => Err(Fault::new(format!("unknown test {name}"))),
        }
    }
}
