//! Image placeholders in a rendered conversation.

use std::ops::Range;

/// Number of image placeholders in `text`.
pub(crate) fn count(text: &str, token: &str) -> usize {
    text.matches(token).count()
}

/// Replaces each placeholder by the text of its image, and moves the `ranges` of `text` along.
///
/// Placeholders without an image stay, images without a placeholder are left out: count them before.
pub(crate) fn fill(
    text: &str,
    token: &str,
    images: &[String],
    ranges: &[Range<usize>],
) -> (String, Vec<Range<usize>>) {
    let found: Vec<(usize, &String)> = text.match_indices(token).map(|(at, _)| at).zip(images).collect();
    let mut out = String::new();
    let mut copied = 0;
    for (at, image) in &found {
        out += &text[copied..*at];
        out += image;
        copied = at + token.len();
    }
    out += &text[copied..];
    let moved = |position: usize| {
        let before = found.iter().filter(|(at, _)| *at < position);
        before.fold(position, |moved, (_, image)| moved + image.len() - token.len())
    };
    (out, ranges.iter().map(|range| moved(range.start)..moved(range.end)).collect())
}
