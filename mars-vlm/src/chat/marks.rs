//! Marks around what a template calls generated: two characters that stand in the rendered text for its
//! `{% generation %}` tags, which minijinja does not know, and are taken out again with the byte ranges between them.

use regex::{Captures, Regex};
use std::ops::Range;

/// Stand for `{% generation %}` and `{% endgeneration %}` in the rendered text; private use, plane 16.
pub(super) const OPEN: char = '\u{10fff0}';
/// Stands for the closing tag.
pub(super) const CLOSE: char = '\u{10fff1}';

/// Rendered text with the byte ranges between generation tags.
#[derive(Debug)]
pub(super) struct Marked {
    /// Without the marks.
    pub(super) text: String,
    /// Byte ranges of `text`, rising.
    pub(super) generated: Vec<Range<usize>>,
}

impl Marked {
    /// Takes the mark characters out of `text`.
    pub(super) fn strip(text: &str) -> Self {
        let mut marked = Self { text: String::with_capacity(text.len()), generated: Vec::new() };
        let mut open = None;
        for c in text.chars() {
            match c {
                OPEN => open = Some(marked.text.len()),
                CLOSE => marked.generated.extend(open.take().map(|start| start..marked.text.len())),
                c => marked.text.push(c),
            }
        }
        marked
    }
}

/// Replaces the generation tags of the template `source` by tags that print a mark.
///
/// Two block tags stand around the mark so that the whitespace rules of blocks (and `-`) still
/// apply on both sides.
pub(super) fn mark_generation(source: &str) -> String {
    #[expect(clippy::unwrap_used, reason = "a constant pattern, compiled in every test")]
    let tag = Regex::new(r"\{%([-+]?)\s*(end)?generation\s*([-+]?)%\}").unwrap();
    tag.replace_all(source, |found: &Captures<'_>| {
        let mark = if found.get(2).is_some() { CLOSE } else { OPEN };
        format!("{{%{} if true %}}{{{{ \"{mark}\" }}}}{{% endif {}%}}", &found[1], &found[3])
    })
    .into_owned()
}
