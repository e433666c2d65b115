//! Methods that take texts apart or together.

use super::super::{
    fault::Fault,
    run::{Given, Machine, whole},
    value::{Value, text},
};

pub(super) fn call(source: &str, name: &str, given: Given, machine: &Machine<'_>) -> Result<Value, Fault> {
    match name {
        "split" | "rsplit" => {
            let [sep, most] = given.bind(name, ["sep", "maxsplit"])?;
            let most = usize::try_from(whole(most, -1)?).unwrap_or(usize::MAX - 1);
            match sep {
                None | Some(Value::None) => {
                    // A word and its blank are two bytes or more, and a place in the list of words 16.
                    machine.budget.bytes(source.len().saturating_mul(8))?;
                    listed(words(source, most, name == "rsplit"), source, machine)
                }
                Some(Value::Str(sep)) if sep.is_empty() => Err(Fault::new("empty separator")),
                Some(Value::Str(sep)) if name == "split" => {
                    listed(source.splitn(most.saturating_add(1), &*sep), source, machine)
                }
                Some(Value::Str(sep)) => {
                    machine.budget.bytes((source.len() / sep.len()).saturating_mul(16))?;
                    let mut parts: Vec<&str> = source.rsplitn(most.saturating_add(1), &*sep).collect();
                    parts.reverse();
                    listed(parts.into_iter(), source, machine)
                }
                Some(other) => Err(Fault::new(format!("must be str or None, not {}", other.kind()))),
            }
        }
        "splitlines" => {
            let [keep] = given.bind(name, ["keepends"])?;
            machine.budget.bytes(source.len().saturating_mul(16))?;
            listed(text::lines(source, keep.is_some_and(|keep| keep.is_true())).into_iter(), source, machine)
        }
        "partition" | "rpartition" => {
            let [sep] = given.bind(name, ["sep"])?;
            let Some(Value::Str(sep)) = sep else { return Err(Fault::new(format!("{name} takes a text"))) };
            if sep.is_empty() {
                return Err(Fault::new("empty separator"));
            }
            machine.budget.bytes(source.len() + sep.len())?;
            let found =
                if name == "partition" { source.split_once(&*sep) } else { source.rsplit_once(&*sep) };
            let parts = match found {
                Some((before, after)) => [before, &sep, after],
                None if name == "partition" => [source, "", ""],
                None => ["", "", source],
            };
            Value::tuple(parts.map(Value::text).to_vec())
        }
        _ => {
            let [items] = given.bind(name, ["iterable"])?;
            let items = machine.walk(&items.unwrap_or(Value::undefined()))?;
            if let Some((k, item)) = items.iter().enumerate().find(|(_, item)| item.as_str().is_none()) {
                item.defined()?;
                let what = format!("sequence item {k}: expected str instance, {} found", item.kind());
                return Err(Fault::new(what));
            }
            machine.joined(&items, source)
        }
    }
}

fn listed<'s>(
    parts: impl Iterator<Item = &'s str>,
    source: &str,
    machine: &Machine<'_>,
) -> Result<Value, Fault> {
    machine.budget.bytes(source.len())?;
    let mut list = Vec::new();
    for part in parts {
        // A text of its own has a header.
        machine.budget.values(2)?;
        list.push(Value::text(part));
    }
    Value::list(list)
}

/// The words of a text after at most `most` cuts, with the rest of the text as it is.
fn words(source: &str, most: usize, from_end: bool) -> impl Iterator<Item = &str> {
    let mut words = Vec::new();
    let trim = |text| {
        if from_end {
            str::trim_end_matches(text, text::is_space)
        } else {
            str::trim_start_matches(text, text::is_space)
        }
    };
    let mut rest = trim(source);
    while !rest.is_empty() {
        let cut = if from_end { rest.rfind(text::is_space) } else { rest.find(text::is_space) };
        let Some(at) = cut.filter(|_| words.len() < most) else {
            words.push(rest);
            break;
        };
        let len = rest[at..].chars().next().map_or(1, char::len_utf8);
        words.push(if from_end { &rest[at + len..] } else { &rest[..at] });
        rest = trim(if from_end { &rest[..at] } else { &rest[at..] });
    }
    if from_end {
        words.reverse();
    }
    words.into_iter()
}
