//! The `tojson` filter as Hugging Face templates expect it: Python's spacing, no HTML escapes.

use minijinja::{Error, ErrorKind, Value, value::Kwargs};
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter, Serializer};
use std::io;

/// `json.dumps` puts a blank after `,` and `:`.
struct Spaced(CompactFormatter);

impl Formatter for Spaced {
    fn begin_array_value<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        if first { Ok(()) } else { writer.write_all(b", ") }
    }

    fn begin_object_key<W: ?Sized + io::Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.begin_array_value(writer, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let Self(CompactFormatter) = self;
        writer.write_all(b": ")
    }
}

/// The filter; `indent=n` breaks lines.
///
/// # Errors
/// Of kind `BadSerialization` for a value that has no JSON form; another for an `indent` that is no whole number.
pub(crate) fn tojson(value: Value, options: Kwargs) -> Result<Value, Error> {
    let indent: Option<usize> = options.get("indent")?;
    let failed = |e: serde_json::Error| Error::new(ErrorKind::BadSerialization, e.to_string());
    let mut out = Vec::new();
    match indent {
        Some(n) => {
            let blanks = vec![b' '; n];
            let mut writer = Serializer::with_formatter(&mut out, PrettyFormatter::with_indent(&blanks));
            value.serialize(&mut writer).map_err(failed)?;
        }
        None => {
            let mut writer = Serializer::with_formatter(&mut out, Spaced(CompactFormatter));
            value.serialize(&mut writer).map_err(failed)?;
        }
    }
    let text = String::from_utf8_lossy(&out).into_owned();
    Ok(Value::from_safe_string(text))
}
