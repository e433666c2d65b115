//! The text of a data file.

use super::foreign::foreign;
use crate::Error;
use mars_lora::stored::regular;
use std::{borrow::Cow, io::Read, path::Path};

/// The text of `file` without its byte order mark.
///
/// # Errors
/// [`Error::Io`]; [`Error::Malformed`] for a file that is no UTF-8 text, with what it is as far as that is known.
pub(super) fn read(file: &Path) -> Result<String, Error> {
    let mut bytes = regular::read(file, u64::MAX).map_err(Error::io(file))?;
    refuse_other(file, &bytes)?;
    if bytes.starts_with("\u{feff}".as_bytes()) {
        bytes.drain(.."\u{feff}".len());
    }
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        let line = 1 + e.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count();
        if e.utf8_error().error_len().is_none() {
            let remedy = "the file is cut off: copy it again";
            return Error::malformed(file, format!("it ends within a character on line {line}"), remedy);
        }
        let what = format!("not UTF-8 text: byte {at} on line {line}");
        Error::malformed(file, what, "save it as UTF-8; older programs write other encodings")
    })
}

/// Refuses a `file` that cannot be read, or begins as something else than text, as [`read`] does.
///
/// # Errors
/// As for [`read`].
pub(super) fn check_start(file: &Path) -> Result<(), Error> {
    let mut start = Vec::new();
    let opened = regular::open(file).map_err(Error::io(file))?;
    opened.take(64).read_to_end(&mut start).map_err(Error::io(file))?;
    refuse_other(file, &start)
}

/// Refuses a `file` that begins with `start`, where that is known and no UTF-8 text.
fn refuse_other(file: &Path, start: &[u8]) -> Result<(), Error> {
    if let Some(other) = encoding(start) {
        return Err(Error::malformed(file, format!("not UTF-8 text but {other}"), "save it as UTF-8"));
    }
    match foreign(start) {
        Some(other) => Err(Error::malformed(file, format!("no JSON but {}", other.what), other.remedy)),
        None => Ok(()),
    }
}

/// The encoding of two or four bytes for each character that a text has, by its mark or by its zeros.
fn encoding(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => Some("UTF-32"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        [0, 0, 0, b'[' | b'{', ..] | [b'[' | b'{', 0, 0, 0, ..] => Some("UTF-32"),
        [0, b'[' | b'{', ..] | [b'[' | b'{', 0, ..] => Some("UTF-16"),
        _ => None,
    }
}

/// The text with null for the numbers that are none: Python writes `NaN`, `Infinity` and `-Infinity`, which JSON does not
/// have, for missing values. Lines stay where they are.
pub(super) fn without_nan(text: &str) -> Cow<'_, str> {
    if !text.contains("NaN") && !text.contains("Infinity") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let (mut quoted, mut escaped, mut rest) = (false, false, text);
    while let Some(c) = rest.chars().next() {
        if !quoted
            && let Some(word) =
                ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| rest.starts_with(word))
        {
            out.push_str("null");
            rest = &rest[word.len()..];
            continue;
        }
        match c {
            // No text of JSON goes on after the end of its line.
            '\n' => (quoted, escaped) = (false, false),
            '\\' if quoted => escaped = !escaped,
            '"' if !escaped => quoted = !quoted,
            _ => escaped = false,
        }
        if c != '\\' {
            escaped = false;
        }
        out.push(c);
        rest = &rest[c.len_utf8()..];
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_none_are_null_and_words_stay() {
        let text = "{\"a\": NaN, \"b\": \"NaN \\\" NaN\", \"c\": [-Infinity, Infinity]}\n{\"NaN\": \"\\\\\", \"d\": NaN}";
        let read =
            "{\"a\": null, \"b\": \"NaN \\\" NaN\", \"c\": [null, null]}\n{\"NaN\": \"\\\\\", \"d\": null}";
        assert_eq!(without_nan(text), read);
        assert_eq!(without_nan("\"open NaN\nNaN"), "\"open NaN\nnull");
        assert!(matches!(without_nan("{\"a\": 1}"), Cow::Borrowed(_)));
    }
}
