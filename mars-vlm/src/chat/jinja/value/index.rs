//! Attributes, subscripts and slices.

use super::{
    super::{budget::Budget, fault::Fault},
    LoopState, Show, Value,
};
use std::{rc::Rc, sync::Arc};

/// Characters of a name that a message shows.
const LONGEST_SHOWN: usize = 100;

const TEXT_METHODS: [&str; 36] = [
    "capitalize",
    "casefold",
    "center",
    "count",
    "encode",
    "endswith",
    "expandtabs",
    "find",
    "format",
    "format_map",
    "index",
    "isalnum",
    "isalpha",
    "isascii",
    "isdigit",
    "islower",
    "isnumeric",
    "isspace",
    "istitle",
    "isupper",
    "join",
    "ljust",
    "lower",
    "lstrip",
    "partition",
    "removeprefix",
    "removesuffix",
    "replace",
    "rfind",
    "rstrip",
    "split",
    "splitlines",
    "startswith",
    "strip",
    "title",
    "upper",
];
const MORE_TEXT_METHODS: [&str; 8] =
    ["isdecimal", "rindex", "rjust", "rpartition", "rsplit", "swapcase", "translate", "zfill"];
const DICT_METHODS: [&str; 11] =
    ["clear", "copy", "fromkeys", "get", "items", "keys", "pop", "popitem", "setdefault", "update", "values"];
const LIST_METHODS: [&str; 11] =
    ["append", "clear", "copy", "count", "extend", "index", "insert", "pop", "remove", "reverse", "sort"];

/// The methods that Python has for such a value.
pub(in super::super) fn methods_of(value: &Value) -> impl Iterator<Item = &'static str> {
    let (first, second): (&[&str], &[&str]) = match value {
        Value::Str(_) => (&TEXT_METHODS, &MORE_TEXT_METHODS),
        Value::Dict(_) => (&DICT_METHODS, &[]),
        Value::List(_) => (&LIST_METHODS, &[]),
        Value::Tuple(_) => (&["count", "index"], &[]),
        Value::Loop(_) => (&["cycle", "changed"], &[]),
        _ => (&[], &[]),
    };
    first.iter().chain(second).copied()
}

/// `value.name`: a method or attribute, then an entry.
///
/// # Errors
/// If `value` is undefined, or no steps are left.
pub(in super::super) fn attr(value: &Value, name: &Arc<str>, show: &dyn Show) -> Result<Value, Fault> {
    if let Some(found) = own(value, name, show)? {
        return Ok(found);
    }
    if let Value::Dict(dict) = value
        && let Some(found) = dict.get(&Value::Str(name.clone()), show.budget())?
    {
        return Ok(found.clone());
    }
    Ok(missing(value, name))
}

/// `value[key]`: an entry, then a method or attribute.
///
/// # Errors
/// If `value` is undefined, or no steps are left.
pub(in super::super) fn item(value: &Value, key: &Value, show: &dyn Show) -> Result<Value, Fault> {
    let budget = show.budget();
    let at = |len: usize| {
        let index = key.as_int()?;
        usize::try_from(if index < 0 { index.checked_add_unsigned(len as u64)? } else { index }).ok()
    };
    let found = match value.defined()? {
        Value::Dict(dict) if !matches!(key, Value::List(_) | Value::Dict(_)) => {
            dict.get(key, budget)?.cloned()
        }
        Value::List(seq) | Value::Tuple(seq) => {
            at(seq.items().len()).and_then(|at| seq.items().get(at)).cloned()
        }
        Value::Str(text) if key.as_int().is_some() => {
            budget.scan(text.len())?;
            let found = at(text.chars().count()).and_then(|at| text.chars().nth(at));
            found.map(|c| Value::text(c.encode_utf8(&mut [0; 4]) as &str))
        }
        _ => None,
    };
    match (found, key) {
        (Some(found), _) => Ok(found),
        (None, Value::Str(name)) => Ok(own(value, name, show)?.unwrap_or_else(|| missing(value, name))),
        (None, Value::Int(index)) => Ok(missing(value, &index.to_string())),
        (None, _) => Ok(Value::undefined()),
    }
}

fn missing(value: &Value, name: &str) -> Value {
    let name = name.char_indices().nth(LONGEST_SHOWN).map_or(name, |(end, _)| &name[..end]);
    Value::Undefined(Some(format!("'{} object' has no attribute '{name}': it", value.kind()).into()))
}

/// A method or attribute.
fn own(value: &Value, name: &Arc<str>, show: &dyn Show) -> Result<Option<Value>, Fault> {
    match value.defined()? {
        Value::Loop(state) => {
            if let Some(found) = loop_attr(state, name) {
                return Ok(Some(found));
            }
        }
        Value::Namespace(place) => {
            return Ok(show.namespace_entry(*place, name));
        }
        Value::Macro(place) if &**name == "name" => return Ok(Some(Value::text(show.macro_name(*place)))),
        _ => {}
    }
    let is_method = methods_of(value).any(|method| method == &**name);
    Ok(is_method.then(|| Value::Method(Rc::new((value.clone(), name.clone())))))
}

fn loop_attr(state: &LoopState, name: &str) -> Option<Value> {
    let (index, items) = (state.index.get(), state.items.items());
    let beside = |at: Option<usize>| at.and_then(|at| items.get(at)).cloned();
    Some(match name {
        "index" => Value::count(index + 1),
        "index0" => Value::count(index),
        "revindex" => Value::count(items.len().saturating_sub(index)),
        "revindex0" => Value::count(items.len().saturating_sub(index + 1)),
        "first" => Value::Bool(index == 0),
        "last" => Value::Bool(index + 1 == items.len()),
        "length" => Value::count(items.len()),
        "depth" => Value::count(state.level),
        "depth0" => Value::count(state.level.saturating_sub(1)),
        "previtem" => beside(index.checked_sub(1))
            .unwrap_or_else(|| Value::Undefined(Some("there is no previous item: it".into()))),
        "nextitem" => beside(Some(index + 1))
            .unwrap_or_else(|| Value::Undefined(Some("there is no next item: it".into()))),
        _ => return None,
    })
}

/// `value[start:stop:step]`.
///
/// # Errors
/// For what cannot be cut, bounds that are no whole numbers, a step of 0, and beyond the budget.
pub(in super::super) fn slice(
    value: &Value,
    parts: [Option<Value>; 3],
    budget: &Budget,
) -> Result<Value, Fault> {
    let mut bounds = [None; 3];
    for (bound, part) in bounds.iter_mut().zip(&parts) {
        *bound = match part {
            None | Some(Value::None) => None,
            Some(part) => Some(part.as_int().ok_or_else(|| Fault::new("slice indices must be integers"))?),
        };
    }
    budget.values(value.items_len())?;
    let chars: Vec<char>;
    let len = match value.defined()? {
        Value::List(seq) | Value::Tuple(seq) => {
            chars = Vec::new();
            seq.items().len()
        }
        Value::Str(text) => {
            chars = text.chars().collect();
            chars.len()
        }
        // Jinja's environment answers a failed subscript with an undefined value.
        _ => return Ok(Value::undefined()),
    };
    let picked = picked(len, bounds)?;
    match value {
        Value::List(seq) => Value::list(picked.map(|at| seq.items()[at].clone()).collect()),
        Value::Tuple(seq) => Value::tuple(picked.map(|at| seq.items()[at].clone()).collect()),
        _ => Ok(Value::text(picked.map(|at| chars[at]).collect::<String>())),
    }
}

/// The places that a slice of `len` items takes.
fn picked(len: usize, [start, stop, step]: [Option<i64>; 3]) -> Result<impl Iterator<Item = usize>, Fault> {
    let step = i128::from(step.unwrap_or(1));
    if step == 0 {
        return Err(Fault::new("slice step cannot be zero"));
    }
    let len = len as i128;
    let (low, high) = if step > 0 { (0, len) } else { (-1, len - 1) };
    let place = |bound: Option<i64>, otherwise: i128| {
        bound.map_or(otherwise, |at| {
            (if at < 0 { i128::from(at) + len } else { i128::from(at) }).clamp(low, high)
        })
    };
    let (from, to) = if step > 0 {
        (place(start, low), place(stop, high))
    } else {
        (place(start, high), place(stop, low))
    };
    let places = std::iter::successors(Some(from), move |at| Some(at + step));
    Ok(places
        .take_while(move |at| if step > 0 { *at < to } else { *at > to })
        .filter_map(|at| usize::try_from(at).ok()))
}
