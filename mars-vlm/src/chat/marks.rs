//! Marks around what a template calls generated: two characters that stand in the rendered text for its
//! `{% generation %}` tags, and are taken out again with the byte ranges between them.

use std::ops::Range;

/// Stands for `{% generation %}` in the rendered text; private use, plane 16.
pub(super) const OPEN: char = '\u{10fff0}';
/// Stands for `{% endgeneration %}`.
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
