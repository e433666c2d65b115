//! Values in print: Python's `str` and `repr`.

use super::{
    super::{budget::Budget, fault::Fault},
    Value, float,
};
use regex::Regex;
use std::sync::LazyLock;

/// What printing needs beside the value.
pub(in super::super) trait Show {
    fn budget(&self) -> &Budget;
    /// The entries of a namespace.
    fn namespace(&self, place: usize) -> Vec<(Value, Value)>;
    /// One entry of a namespace.
    fn namespace_entry(&self, place: usize, name: &str) -> Option<Value>;
    /// The name of a macro.
    fn macro_name(&self, place: usize) -> String;
}

/// Python's `str(value)`.
///
/// # Errors
/// If it is larger than the budget.
pub(in super::super) fn plain(value: &Value, show: &dyn Show) -> Result<String, Fault> {
    let mut out = String::new();
    match value {
        Value::Undefined(_) => {}
        Value::Str(text) => {
            show.budget().bytes(text.len())?;
            out.push_str(text);
        }
        other => write(other, show, &mut out)?,
    }
    Ok(out)
}

/// Python's `repr(value)`.
///
/// # Errors
/// If it is larger than the budget.
pub(in super::super) fn repr(value: &Value, show: &dyn Show) -> Result<String, Fault> {
    let mut out = String::new();
    write(value, show, &mut out)?;
    Ok(out)
}

fn write(value: &Value, show: &dyn Show, out: &mut String) -> Result<(), Fault> {
    let budget = show.budget();
    let mut put = |text: &str| -> Result<(), Fault> {
        budget.bytes(text.len())?;
        out.push_str(text);
        Ok(())
    };
    match value {
        Value::Undefined(_) => put("Undefined"),
        Value::None => put("None"),
        Value::Bool(true) => put("True"),
        Value::Bool(false) => put("False"),
        Value::Int(n) => put(&n.to_string()),
        Value::Float(x) => put(&float::repr(*x)),
        Value::Str(text) => {
            budget.bytes(text.len())?;
            put(&quoted(text))
        }
        Value::List(seq) => budget.deeper(|| write_items(seq.items(), ["[", "]"], show, out)),
        Value::Tuple(seq) => {
            let close = if seq.items().len() == 1 { ",)" } else { ")" };
            budget.deeper(|| write_items(seq.items(), ["(", close], show, out))
        }
        Value::Dict(dict) => budget.deeper(|| write_pairs(dict.entries(), show, out)),
        Value::Namespace(place) => {
            put("<Namespace ")?;
            let entries = show.namespace(*place);
            budget.values(entries.len())?;
            budget.deeper(|| write_pairs(&entries, show, out))?;
            budget.bytes(1)?;
            out.push('>');
            Ok(())
        }
        Value::Macro(place) => put(&format!("<Macro '{}'>", show.macro_name(*place))),
        Value::Loop(state) => {
            put(&format!("<LoopContext {}/{}>", state.index.get() + 1, state.items.items().len()))
        }
        Value::Generator(_) | Value::Function(_) | Value::Method(_) => {
            let what = format!("a {} cannot be printed", value.kind());
            Err(Fault::new(what))
        }
    }
}

fn write_items(items: &[Value], ends: [&str; 2], show: &dyn Show, out: &mut String) -> Result<(), Fault> {
    out.push_str(ends[0]);
    for (k, item) in items.iter().enumerate() {
        if k > 0 {
            out.push_str(", ");
        }
        show.budget().bytes(2)?;
        write(item, show, out)?;
    }
    out.push_str(ends[1]);
    Ok(())
}

fn write_pairs(entries: &[(Value, Value)], show: &dyn Show, out: &mut String) -> Result<(), Fault> {
    out.push('{');
    for (k, (key, value)) in entries.iter().enumerate() {
        if k > 0 {
            out.push_str(", ");
        }
        show.budget().bytes(4)?;
        write(key, show, out)?;
        out.push_str(": ");
        write(value, show, out)?;
    }
    out.push('}');
    Ok(())
}

/// A text as Python writes it in a program.
fn quoted(text: &str) -> String {
    #[expect(clippy::unwrap_used, reason = "a constant pattern, compiled in every test")]
    static HIDDEN: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^[\p{C}\p{Z}]$").unwrap());
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::with_capacity(text.len() + 2);
    out.push(quote);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == quote => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            c if c.is_ascii() || HIDDEN.is_match(c.encode_utf8(&mut [0; 4])) => {
                let code = u32::from(c);
                out.push_str(&match code {
                    0..0x100 => format!("\\x{code:02x}"),
                    0x100..0x10000 => format!("\\u{code:04x}"),
                    _ => format!("\\U{code:08x}"),
                });
            }
            c => out.push(c),
        }
    }
    out.push(quote);
    out
}
