//! Methods that look for a text in a text.

use super::super::{
    fault::Fault,
    run::{Given, Machine, whole},
    value::Value,
};

pub(super) fn call(source: &str, name: &str, given: Given, machine: &Machine<'_>) -> Result<Value, Fault> {
    match name {
        "replace" => {
            let [old, new, count] = given.bind(name, ["old", "new", "count"])?;
            let (Some(Value::Str(old)), Some(Value::Str(new))) = (old, new) else {
                return Err(Fault::new("replace takes two texts"));
            };
            replaced(source, &old, &new, whole(count, -1)?, machine)
        }
        "startswith" | "endswith" | "count" | "find" | "rfind" | "index" | "rindex" => {
            let [wanted, from, to] = given.bind(name, ["sub", "start", "end"])?;
            let wanted = wanted.ok_or_else(|| Fault::new(format!("{name} takes a text")))?;
            let (within, skipped) = within(source, from, to)?;
            if name.ends_with("with") {
                return starts_or_ends(within, name, &wanted, machine);
            }
            let Value::Str(wanted) = wanted.defined()? else {
                return Err(Fault::new(format!("{name} takes a text, not {}", wanted.kind())));
            };
            machine.budget.scan(wanted.len())?;
            if name == "count" {
                return Ok(Value::count(within.matches(&**wanted).count()));
            }
            let found = if name.starts_with('r') { within.rfind(&**wanted) } else { within.find(&**wanted) };
            match found {
                Some(at) => Ok(Value::count(skipped + within[..at].chars().count())),
                None if name.ends_with("find") => Ok(Value::Int(-1)),
                None => Err(Fault::new("substring not found")),
            }
        }
        _ => Err(super::unknown(&Value::text(source), name)),
    }
}

/// `source` with the first `count` of `old` (all, if negative) replaced.
///
/// # Errors
/// Beyond the budget.
pub(in super::super) fn replaced(
    source: &str,
    old: &str,
    new: &str,
    count: i64,
    machine: &Machine<'_>,
) -> Result<Value, Fault> {
    machine.budget.scan(source.len() + old.len())?;
    let most = usize::try_from(count).unwrap_or(usize::MAX);
    let found = source.matches(old).take(most).count();
    // Each place costs more than a byte.
    machine.budget.steps(found / 8)?;
    machine.budget.bytes(source.len().saturating_add(found.saturating_mul(new.len())))?;
    Ok(Value::text(source.replacen(old, new, most)))
}

/// The part of `source` between two indices, and the number of characters before it.
fn within(source: &str, from: Option<Value>, to: Option<Value>) -> Result<(&str, usize), Fault> {
    let given = |value: Option<Value>| value.filter(|value| !matches!(value, Value::None));
    let (from, to) = (given(from), given(to));
    if from.is_none() && to.is_none() {
        return Ok((source, 0));
    }
    let len = source.chars().count() as i64;
    let place = |at: i64| (if at < 0 { at.saturating_add(len) } else { at }).clamp(0, len) as usize;
    let (from, to) = (place(whole(from, 0)?), place(whole(to, len)?));
    let byte = |at: usize| source.char_indices().nth(at).map_or(source.len(), |(byte, _)| byte);
    Ok((if from < to { &source[byte(from)..byte(to)] } else { "" }, from))
}

fn starts_or_ends(source: &str, name: &str, wanted: &Value, machine: &Machine<'_>) -> Result<Value, Fault> {
    let all = match wanted.defined()? {
        Value::Tuple(seq) => seq.items().to_vec(),
        other => vec![other.clone()],
    };
    machine.budget.values(all.len())?;
    for one in &all {
        let Value::Str(one) = one.defined()? else {
            let what = format!("{name} first arg must be str or a tuple of str, not {}", one.kind());
            return Err(Fault::new(what));
        };
        machine.budget.scan(one.len())?;
        if if name == "startswith" { source.starts_with(&**one) } else { source.ends_with(&**one) } {
            return Ok(Value::Bool(true));
        }
    }
    Ok(Value::Bool(false))
}
