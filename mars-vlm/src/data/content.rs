//! Turning the text of a turn with `<image>` marks into parts.

use super::sample::Part;

/// The placeholder of an image in the texts of data files.
pub(crate) const PLACEHOLDER: &str = "<image>";

/// Splits `text` at its image marks.
///
/// Blanks between a mark and the text after leading marks, or before trailing marks, are the
/// separator of the LLaVA format (`<image>\nQuestion`), not part of the question: a chat
/// template puts its own there. Blanks around a mark inside a sentence stay.
pub(crate) fn split_marks(text: &str) -> Vec<Part> {
    let texts: Vec<&str> = text.split(PLACEHOLDER).collect();
    if texts.len() == 1 {
        return vec![Part::Text(text.to_string())];
    }
    let first = texts.iter().position(|text| !text.trim().is_empty());
    let last = texts.iter().rposition(|text| !text.trim().is_empty());
    let mut parts = Vec::new();
    for (k, text) in texts.iter().enumerate() {
        if k > 0 {
            parts.push(Part::Image);
        }
        let mut text = *text;
        if k > 0 && first.is_none_or(|first| k <= first) {
            text = text.trim_start();
        }
        if k + 1 < texts.len() && last.is_none_or(|last| k >= last) {
            text = text.trim_end();
        }
        if !text.trim().is_empty() {
            parts.push(Part::Text(text.to_string()));
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        split_marks(text)
            .iter()
            .map(|part| match part {
                Part::Image => "[]".into(),
                Part::Text(text) => format!("{text:?}"),
            })
            .collect()
    }

    #[test]
    fn separators_go_and_sentences_stay() {
        assert_eq!(shown("<image>\nWhat?"), r#"[]"What?""#);
        assert_eq!(shown("What?\n<image>"), r#""What?"[]"#);
        assert_eq!(shown("<image>\n<image>\nWhich?"), r#"[][]"Which?""#);
        assert_eq!(shown("Is <image> like <image>?"), r#""Is "[]" like "[]"?""#);
        assert_eq!(shown("plain\n"), r#""plain\n""#);
        assert_eq!(shown("<image>"), "[]");
    }
}
