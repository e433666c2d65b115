//! Values as JSON, as Python's `json.dumps` writes it.

use super::{super::fault::Fault, Show, Value, float};

/// How [`tojson`] writes.
#[derive(Clone, Debug)]
pub(in super::super) struct Layout {
    /// What one level is set in by; `None` for one line.
    pub(in super::super) indent: Option<String>,
    /// Between items, and between a name and its value.
    pub(in super::super) separators: [String; 2],
    /// Only ASCII characters.
    pub(in super::super) ascii: bool,
    /// Names in order.
    pub(in super::super) sorted: bool,
}

/// `value` as JSON.
///
/// # Errors
/// For a value that has no JSON form, and beyond the budget.
pub(in super::super) fn tojson(value: &Value, layout: &Layout, show: &dyn Show) -> Result<String, Fault> {
    let mut out = String::new();
    write(value, layout, 0, show, &mut out)?;
    Ok(out)
}

fn write(
    value: &Value,
    layout: &Layout,
    level: usize,
    show: &dyn Show,
    out: &mut String,
) -> Result<(), Fault> {
    let start = out.len();
    match value {
        Value::None => out.push_str("null"),
        Value::Bool(b) => out.push_str(if *b { "true" } else { "false" }),
        Value::Int(n) => out.push_str(&n.to_string()),
        Value::Float(x) => out.push_str(&number(*x)),
        Value::Str(text) => {
            show.budget().bytes(text.len())?;
            quote(text, layout.ascii, out);
        }
        Value::List(seq) | Value::Tuple(seq) => {
            return group(seq.items(), ["[", "]"], layout, level, show, out, |item, out| {
                write(item, layout, level + 1, show, out)
            });
        }
        Value::Dict(dict) => {
            let mut entries: Vec<(String, &Value)> = dict
                .entries()
                .iter()
                .map(|(key, value)| Ok((name(key)?, value)))
                .collect::<Result<_, Fault>>()?;
            if layout.sorted {
                entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            }
            return group(&entries, ["{", "}"], layout, level, show, out, |(key, value), out| {
                show.budget().bytes(key.len())?;
                quote(key, layout.ascii, out);
                out.push_str(&layout.separators[1]);
                write(value, layout, level + 1, show, out)
            });
        }
        other => {
            other.defined()?;
            return Err(Fault::new(format!("Object of type {} is not JSON serializable", other.kind())));
        }
    }
    show.budget().bytes(out.len() - start)
}

/// Items in brackets.
fn group<T>(
    items: &[T],
    ends: [&str; 2],
    layout: &Layout,
    level: usize,
    show: &dyn Show,
    out: &mut String,
    one: impl Fn(&T, &mut String) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let budget = show.budget();
    let line = |level: usize, out: &mut String| -> Result<(), Fault> {
        if let Some(indent) = &layout.indent {
            budget.bytes(indent.len().saturating_mul(level).saturating_add(1))?;
            out.push('\n');
            out.push_str(&indent.repeat(level));
        }
        Ok(())
    };
    budget.bytes(2)?;
    out.push_str(ends[0]);
    for (k, item) in items.iter().enumerate() {
        if k > 0 {
            out.push_str(&layout.separators[0]);
        }
        line(level + 1, out)?;
        budget.bytes(layout.separators[0].len() + layout.separators[1].len())?;
        budget.deeper(|| one(item, out))?;
    }
    if !items.is_empty() {
        line(level, out)?;
    }
    out.push_str(ends[1]);
    Ok(())
}

fn number(x: f64) -> String {
    match x {
        x if x.is_nan() => "NaN".into(),
        x if x.is_infinite() => if x > 0.0 { "Infinity" } else { "-Infinity" }.into(),
        x => float::repr(x),
    }
}

fn name(key: &Value) -> Result<String, Fault> {
    Ok(match key {
        Value::Str(text) => text.to_string(),
        Value::None => "null".into(),
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Float(x) => number(*x),
        other => {
            let what = format!("keys must be str, int, float, bool or None, not {}", other.kind());
            return Err(Fault::new(what));
        }
    })
}

fn quote(text: &str, ascii: bool, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\x08' => out.push_str("\\b"),
            '\x0c' => out.push_str("\\f"),
            c if c < ' ' || ascii && !c.is_ascii() || ascii && c == '\x7f' => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
