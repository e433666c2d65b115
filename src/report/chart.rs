//! A chart: axes, lines, marks, a legend beside it, and words for those who do not see it.

use super::{
    axis::Axis,
    svg::{Shape, escape, mark, polyline},
};

const WIDTH: f64 = 390.0;
const HEIGHT: f64 = 275.0;
const LEFT: f64 = 56.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 46.0;

/// A chart being drawn.
pub(crate) struct Chart {
    id: String,
    x: Axis,
    y: Axis,
    lines: String,
    marks: String,
}

/// One entry of a legend.
pub(crate) struct Key {
    pub(crate) text: String,
    /// Class of the series, `s0` and on; classes of the mark follow.
    pub(crate) class: String,
    pub(crate) shape: Option<Shape>,
    pub(crate) line: bool,
}

impl Chart {
    /// `id` is unique within the page.
    pub(crate) fn new(id: impl Into<String>, x: Axis, y: Axis) -> Self {
        Self { id: id.into(), x, y, lines: String::new(), marks: String::new() }
    }

    fn pixel(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        let (x, y) = (self.x.unclipped(x)?, self.y.unclipped(y)?);
        // Far outside is as good as outside, and keeps coordinates printable.
        let (x, y) = (x.clamp(-10.0, 10.0), y.clamp(-10.0, 10.0));
        Some((LEFT + x * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y * (HEIGHT - TOP - BOTTOM)))
    }

    /// A line in values, broken where a point cannot be shown, cut off at the frame.
    pub(crate) fn line(&mut self, points: impl IntoIterator<Item = (f64, f64)>, class: &str) {
        let mut run: Vec<(f64, f64)> = Vec::new();
        let mut runs = Vec::new();
        for (x, y) in points {
            match self.pixel(x, y) {
                Some(pixel) => run.push(pixel),
                None => runs.push(std::mem::take(&mut run)),
            }
        }
        runs.push(run);
        for run in runs.iter().filter(|run| run.len() > 1) {
            self.lines += &polyline(run, class);
        }
    }

    /// A mark at a value; left out when it is outside the frame.
    pub(crate) fn mark(&mut self, shape: Shape, at: (f64, f64), size: f64, class: &str, hint: &str) {
        if self.x.share(at.0).is_some()
            && self.y.share(at.1).is_some()
            && let Some((x, y)) = self.pixel(at.0, at.1)
        {
            self.marks += &mark(shape, x, y, size, class, hint);
        }
    }

    /// A rectangle between two corners in values, under everything else.
    pub(crate) fn area(&mut self, low: (f64, f64), high: (f64, f64), class: &str) {
        if let (Some((x0, y0)), Some((x1, y1))) = (self.pixel(low.0, low.1), self.pixel(high.0, high.1)) {
            let (width, height) = ((x1 - x0).max(0.0), (y0 - y1).max(0.0));
            let area = format!(
                "<rect class=\"{class}\" x=\"{x0:.1}\" y=\"{y1:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"/>"
            );
            self.lines.insert_str(0, &area);
        }
    }

    /// The chart as a figure with its title above, legend and caption (as HTML) below.
    pub(crate) fn figure(&self, title: &str, description: &str, legend: &[Key], caption: &str) -> String {
        let id = &self.id;
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);
        let mut frame = String::new();
        for (share, label) in self.x.ticks(0.085) {
            let x = LEFT + share * (right - LEFT);
            frame += &format!(
                "<path class=\"grid\" d=\"M{x:.1} {TOP}V{bottom}\"/>\
                 <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
                bottom + 16.0
            );
        }
        for (share, label) in self.y.ticks(0.07) {
            let y = bottom - share * (bottom - TOP);
            frame += &format!(
                "<path class=\"grid\" d=\"M{LEFT} {y:.1}H{right}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>",
                LEFT - 7.0,
                y + 4.0
            );
        }
        let (x_label, y_label) = (escape(self.x.label()), escape(self.y.label()));
        let (mid_x, mid_y) = ((LEFT + right) / 2.0, (TOP + bottom) / 2.0);
        format!(
            "<figure><h3>{title}</h3>\
             <svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
             <title id=\"{id}-t\">{title}</title><desc id=\"{id}-d\">{description}</desc>\
             <clipPath id=\"{id}-c\"><rect x=\"{LEFT}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/></clipPath>\
             {frame}<rect class=\"frame\" x=\"{LEFT}\" y=\"{TOP}\" width=\"{:.1}\" height=\"{:.1}\"/>\
             <text class=\"label\" x=\"{mid_x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{x_label}</text>\
             <text class=\"label\" transform=\"translate(13 {mid_y:.1}) rotate(-90)\" text-anchor=\"middle\">{y_label}</text>\
             <g clip-path=\"url(#{id}-c)\">{}</g>{}</svg>{}{}</figure>",
            right - LEFT,
            bottom - TOP,
            right - LEFT,
            bottom - TOP,
            HEIGHT - 8.0,
            self.lines,
            self.marks,
            keys(legend),
            if caption.is_empty() { String::new() } else { format!("<figcaption>{caption}</figcaption>") },
            title = escape(title),
            description = escape(description),
        )
    }
}

/// A legend as a list of swatches.
fn keys(legend: &[Key]) -> String {
    if legend.is_empty() {
        return String::new();
    }
    let items: String = legend
        .iter()
        .map(|key| {
            let line = if key.line {
                polyline(&[(1.0, 7.0), (27.0, 7.0)], &format!("line {}", key.class))
            } else {
                String::new()
            };
            let mark = key.shape.map(|shape| mark(shape, 14.0, 7.0, 5.0, &format!("mark {}", key.class), ""));
            format!(
                "<li><svg viewBox=\"0 0 28 14\" aria-hidden=\"true\">{line}{}</svg>{}</li>",
                mark.unwrap_or_default(),
                escape(&key.text)
            )
        })
        .collect();
    format!("<ul class=\"legend\">{items}</ul>")
}

/// The class of the `i`-th series.
pub(crate) fn series(i: usize) -> String {
    format!("s{}", i % 6)
}

/// A figure that says why there is no chart.
pub(crate) fn nothing(title: &str, why: &str) -> String {
    format!("<figure><h3>{}</h3><p class=\"nothing\">{}</p></figure>", escape(title), escape(why))
}
