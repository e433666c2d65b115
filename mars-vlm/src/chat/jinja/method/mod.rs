//! Methods of texts, lists and mappings.

mod search;
mod side;
mod split;

pub(super) use search::replaced;

use super::{
    fault::Fault,
    filter::braces,
    run::{Given, Machine},
    value::{Value, equal, text},
};
use std::sync::Arc;

/// The method `name` of `owner`.
///
/// # Errors
/// For methods that would change a value, arguments that do not fit, and beyond the budget.
pub(super) fn call(owner: &Value, name: &str, given: Given, machine: &Machine<'_>) -> Result<Value, Fault> {
    match owner {
        Value::Str(text) => of_text(text, name, given, machine),
        Value::Dict(_) => of_dict(owner, name, given, machine),
        _ => of_list(owner, name, given, machine),
    }
}

fn unknown(owner: &Value, name: &str) -> Fault {
    Fault::new(format!(
        "the method {name} of '{}' is not known here, or would change the value",
        owner.kind()
    ))
}

fn of_dict(owner: &Value, name: &str, given: Given, machine: &Machine<'_>) -> Result<Value, Fault> {
    let Value::Dict(dict) = owner else { return Err(unknown(owner, name)) };
    if name != "get" {
        machine.budget.values(3 * dict.entries().len())?;
    }
    let entries = dict.entries().iter().cloned();
    match name {
        "get" => {
            let [key, default] = given.bind(name, ["key", "default"])?;
            let key = key.ok_or_else(|| Fault::new("get expected at least 1 argument, got 0"))?;
            let found = dict.get(&key, &machine.budget)?.cloned();
            Ok(found.or(default).unwrap_or(Value::None))
        }
        "keys" => {
            let [] = given.bind(name, [])?;
            Value::list(entries.map(|(key, _)| key).collect())
        }
        "values" => {
            let [] = given.bind(name, [])?;
            Value::list(entries.map(|(_, value)| value).collect())
        }
        "items" => {
            let [] = given.bind(name, [])?;
            Value::list(entries.map(|(key, value)| Value::tuple(vec![key, value])).collect::<Result<_, _>>()?)
        }
        "copy" => {
            let [] = given.bind(name, [])?;
            Ok(owner.clone())
        }
        _ => Err(unknown(owner, name)),
    }
}

fn of_list(owner: &Value, name: &str, given: Given, machine: &Machine<'_>) -> Result<Value, Fault> {
    let (Value::List(seq) | Value::Tuple(seq)) = owner else { return Err(unknown(owner, name)) };
    match name {
        "count" | "index" => {
            let [wanted] = given.bind(name, ["value"])?;
            let wanted = wanted.ok_or_else(|| Fault::new(format!("{name} takes a value")))?;
            let mut found = Vec::new();
            for (at, item) in seq.items().iter().enumerate() {
                if equal(item, &wanted, &machine.budget)? {
                    found.push(at);
                }
            }
            if name == "count" {
                return Ok(Value::count(found.len()));
            }
            found
                .first()
                .map(|at| Value::count(*at))
                .ok_or_else(|| Fault::new("the value is not in the list"))
        }
        "copy" => {
            let [] = given.bind(name, [])?;
            Ok(owner.clone())
        }
        _ => Err(unknown(owner, name)),
    }
}

fn of_text(source: &Arc<str>, name: &str, given: Given, machine: &Machine<'_>) -> Result<Value, Fault> {
    machine.budget.scan(source.len())?;
    match name {
        "upper" | "lower" | "capitalize" | "title" | "swapcase" | "casefold" => {
            let [] = given.bind(name, [])?;
            machine.budget.bytes(source.len().saturating_mul(2))?;
            Ok(Value::text(match name {
                "upper" => source.to_uppercase(),
                "capitalize" => text::capitalized(source),
                "title" => text::titled(source),
                "swapcase" => source.chars().map(swapped).collect(),
                _ => source.to_lowercase(),
            }))
        }
        "isalpha" => of_all(source, given, name, char::is_alphabetic),
        "isalnum" => of_all(source, given, name, char::is_alphanumeric),
        "isdigit" | "isnumeric" | "isdecimal" => of_all(source, given, name, char::is_numeric),
        "isspace" => of_all(source, given, name, text::is_space),
        "isascii" => {
            let [] = given.bind(name, [])?;
            Ok(Value::Bool(source.is_ascii()))
        }
        "islower" | "isupper" => {
            let [] = given.bind(name, [])?;
            let wrong = if name == "islower" { char::is_uppercase } else { char::is_lowercase };
            let right = if name == "islower" { char::is_lowercase } else { char::is_uppercase };
            Ok(Value::Bool(source.chars().any(right) && !source.chars().any(wrong)))
        }
        "format" => Ok(Value::text(braces::format(source, &given, machine)?)),
        "strip" | "lstrip" | "rstrip" | "removeprefix" | "removesuffix" | "center" | "ljust" | "rjust"
        | "zfill" => side::call(source, name, given, machine),
        "split" | "rsplit" | "splitlines" | "partition" | "rpartition" | "join" => {
            split::call(source, name, given, machine)
        }
        _ => search::call(source, name, given, machine),
    }
}

fn of_all(source: &str, given: Given, name: &str, is: fn(char) -> bool) -> Result<Value, Fault> {
    let [] = given.bind(name, [])?;
    Ok(Value::Bool(!source.is_empty() && source.chars().all(is)))
}

fn swapped(c: char) -> String {
    if c.is_uppercase() { c.to_lowercase().collect() } else { c.to_uppercase().collect() }
}
