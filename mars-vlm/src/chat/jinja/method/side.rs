//! Methods at the ends of a text.

use super::super::{
    fault::Fault,
    run::{Given, Machine, whole},
    value::{Value, text::is_space},
};

pub(super) fn call(source: &str, name: &str, given: Given, machine: &Machine<'_>) -> Result<Value, Fault> {
    let cut = match name {
        "strip" | "lstrip" | "rstrip" => {
            let [chars] = given.bind(name, ["chars"])?;
            stripped(source, name, chars, machine)?
        }
        "removeprefix" | "removesuffix" => {
            let [end] = given.bind(name, ["end"])?;
            let Some(Value::Str(end)) = end else { return Err(Fault::new(format!("{name} takes a text"))) };
            let cut =
                if name == "removeprefix" { source.strip_prefix(&*end) } else { source.strip_suffix(&*end) };
            cut.unwrap_or(source)
        }
        _ => return widened(source, name, given, machine),
    };
    machine.budget.bytes(cut.len())?;
    Ok(Value::text(cut))
}

fn stripped<'s>(
    source: &'s str,
    name: &str,
    chars: Option<Value>,
    machine: &Machine<'_>,
) -> Result<&'s str, Fault> {
    let chars: Option<Vec<char>> = match chars {
        None | Some(Value::None) => None,
        Some(Value::Str(chars)) => {
            machine.budget.bytes(chars.len().saturating_mul(4))?;
            Some(chars.chars().collect())
        }
        Some(other) => {
            return Err(Fault::new(format!("{name} arg must be None or str, not {}", other.kind())));
        }
    };
    // Each character of the text is looked for among `chars`.
    machine.budget.scan(source.len().saturating_mul(chars.as_ref().map_or(1, Vec::len)))?;
    let is = |c: char| chars.as_ref().map_or(is_space(c), |chars| chars.contains(&c));
    Ok(match name {
        "strip" => source.trim_matches(is),
        "lstrip" => source.trim_start_matches(is),
        _ => source.trim_end_matches(is),
    })
}

fn widened(source: &str, name: &str, given: Given, machine: &Machine<'_>) -> Result<Value, Fault> {
    let [width, fill] = given.bind(name, ["width", "fillchar"])?;
    let width = usize::try_from(whole(width, 0)?).unwrap_or(0);
    let fill = match fill {
        None => ' ',
        Some(fill) => {
            let mut chars = fill.as_str().map(|fill| fill.chars()).into_iter().flatten();
            match (chars.next(), chars.next()) {
                (Some(fill), None) => fill,
                _ => return Err(Fault::new("the fill character must be exactly one character long")),
            }
        }
    };
    let missing = width.saturating_sub(source.chars().count());
    machine.budget.bytes(missing.saturating_mul(fill.len_utf8()).saturating_add(source.len()))?;
    let fills = |count: usize| fill.to_string().repeat(count);
    Ok(Value::text(match name {
        "ljust" => format!("{source}{}", fills(missing)),
        "rjust" => format!("{}{source}", fills(missing)),
        "zfill" => {
            let sign = source.get(..1).filter(|sign| matches!(*sign, "+" | "-")).unwrap_or("");
            format!("{sign}{}{}", "0".repeat(missing), &source[sign.len()..])
        }
        _ => {
            // Python puts the odd character to the left if the width is odd.
            let left = missing / 2 + (missing & width & 1);
            format!("{}{source}{}", fills(left), fills(missing - left))
        }
    }))
}
