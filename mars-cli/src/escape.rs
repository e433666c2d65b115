//! Texts from files and names of files, which may hold anything, as a terminal may see them.

use std::borrow::Cow;

/// `text` with its control characters, and those that turn the direction of writing, as escapes (`\u{1b}`). Tabs stay, and
/// so do line ends: for texts of several lines that this program has laid out.
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    escaped(text, |rest| rest.starts_with(['\n', '\t']))
}

/// The same for a message: a line end stays only before two blanks, as before the causes of an error. One that comes from
/// the name of a file cannot make its rest look like a message of its own.
pub(crate) fn message(text: &str) -> Cow<'_, str> {
    escaped(text, |rest| rest.starts_with("\n  ") || rest.starts_with('\t'))
}

/// The same for what must stay on one line.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escaped(text, |rest| rest.starts_with('\t'))
}

/// Escapes what is not visible, unless `stays` says otherwise of the text from there on.
fn escaped(text: &str, stays: impl Fn(&str) -> bool) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for (at, c) in text.char_indices() {
        match c {
            c if !is_hidden(c) || stays(&text[at..]) => out.push(c),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c => out.extend(c.escape_unicode()),
        }
    }
    Cow::Owned(out)
}

/// Control characters (C0, DEL, C1), line and paragraph separators, and what changes the direction of writing.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// JSON with the control characters that JSON allows in its texts as escapes; they are nowhere else in it.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|c| is_hidden(c) && c != '\n') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            // All that are hidden have 16 bits.
            c if is_hidden(c) && c != '\n' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_act_on_is_shown() {
        let hostile = "a\u{1b}[2J\u{9b}31mb\rc\u{7}\u{202e}d\u{7f}";
        let shown = "a\\u{1b}[2J\\u{9b}31mb\\rc\\u{7}\\u{202e}d\\u{7f}";
        assert_eq!(text(hostile), shown);
        assert_eq!(message(hostile), shown);
        assert_eq!(line(hostile), shown);
        assert_eq!(text("größe 東京 🎲 e\u{301}\tx\ny"), "größe 東京 🎲 e\u{301}\tx\ny");
    }

    #[test]
    fn line_ends_of_names_cannot_begin_a_message() {
        assert_eq!(message("x\n  because: y"), "x\n  because: y");
        assert_eq!(message("a\nerror: b.json"), "a\\nerror: b.json");
        assert_eq!(line("a\n  b"), "a\\n  b");
    }

    #[test]
    #[allow(clippy::unwrap_used)]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({"a\u{9b}": ["\u{7f}\u{2028}\u{202e}", "ü\n\u{1b}"]});
        let written = serde_json::to_string_pretty(&value).unwrap();
        let safe = json(&written);
        assert!(!safe.chars().any(|c| is_hidden(c) && c != '\n'), "{safe}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).unwrap(), value);
    }
}
