//! Small pieces of SVG and HTML text.

use std::fmt::Write;

/// Text that is safe between tags and in quoted attributes. Control characters, which HTML forbids, go.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            '\n' | '\t' => safe.push(' '),
            other if other.is_control() => {}
            other => safe.push(other),
        }
    }
    safe
}

/// The shape of a mark. Series differ in shape, colour and dash, so that colour alone never tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
    Cross,
    Inverted,
    Star,
}

impl Shape {
    /// The shape of the `i`-th series.
    pub(crate) fn of(i: usize) -> Self {
        [Self::Circle, Self::Square, Self::Triangle, Self::Diamond, Self::Inverted, Self::Star][i % 6]
    }

    /// A path of about `size` around the origin.
    fn path(self, size: f64) -> String {
        let corners = |count: usize, start: f64, radii: &[f64]| {
            let mut path = String::new();
            for i in 0..count {
                let angle = (start + 360.0 * i as f64 / count as f64).to_radians();
                let radius = size * radii[i % radii.len()];
                let letter = if i == 0 { 'M' } else { 'L' };
                // Writing to a String cannot fail.
                let _ = write!(path, "{letter}{:.2} {:.2}", radius * angle.cos(), radius * angle.sin());
            }
            path + "Z"
        };
        match self {
            Self::Circle => corners(24, 0.0, &[1.0]),
            Self::Square => corners(4, 45.0, &[1.25]),
            Self::Triangle => corners(3, -90.0, &[1.35]),
            Self::Inverted => corners(3, 90.0, &[1.35]),
            Self::Diamond => corners(4, 0.0, &[1.35]),
            Self::Star => corners(10, -90.0, &[1.6, 0.7]),
            Self::Cross => {
                let s = size;
                format!("M{:.2} {:.2}L{s:.2} {s:.2}M{:.2} {s:.2}L{s:.2} {:.2}", -s, -s, -s, -s)
            }
        }
    }
}

/// A mark at a place in pixels, with a text that shows on hovering.
pub(crate) fn mark(shape: Shape, x: f64, y: f64, size: f64, class: &str, hint: &str) -> String {
    let path = shape.path(size);
    let hint = if hint.is_empty() { String::new() } else { format!("<title>{}</title>", escape(hint)) };
    let cross = if shape == Shape::Cross { " cross" } else { "" };
    format!(
        "<path class=\"{class}{cross}\" transform=\"translate({x:.1} {y:.1})\" d=\"{path}\">{hint}</path>"
    )
}

/// A line through places in pixels.
pub(crate) fn polyline(points: &[(f64, f64)], class: &str) -> String {
    let mut path = String::new();
    for (x, y) in points {
        let letter = if path.is_empty() { 'M' } else { 'L' };
        let _ = write!(path, "{letter}{x:.1} {y:.1}");
    }
    format!("<path class=\"{class}\" d=\"{path}\"/>")
}
