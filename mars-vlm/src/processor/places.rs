//! Places of images in a rendered conversation.

use std::ops::Range;

/// Number of image places in `text`.
pub(crate) fn count(text: &str, token: &str) -> usize {
    text.matches(token).count()
}

/// Puts the text of each image at its place, and moves the `ranges` of `text` along.
///
/// Places without an image, and images without a place, are left out: count them before.
pub(crate) fn fill(
    text: &str,
    token: &str,
    images: &[String],
    ranges: &[Range<usize>],
) -> (String, Vec<Range<usize>>) {
    let places: Vec<(usize, &String)> = text.match_indices(token).map(|(at, _)| at).zip(images).collect();
    let mut out = String::new();
    let mut copied = 0;
    for (at, image) in &places {
        out += &text[copied..*at];
        out += image;
        copied = at + token.len();
    }
    out += &text[copied..];
    let moved = |position: usize| {
        let before = places.iter().filter(|(at, _)| *at < position);
        before.fold(position, |moved, (_, image)| moved + image.len() - token.len())
    };
    (out, ranges.iter().map(|range| moved(range.start)..moved(range.end)).collect())
}
