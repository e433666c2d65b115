//! Draws the paper's perplexities with two forms of Law-P fitted up to D = 4096, as an SVG on standard output.
//!
//! ```text
//! cargo run --release -p mars-laws --example figure > law-p.svg
//! ```
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use mars_laws::{
    BootstrapOptions, Form, LawPFit, LawPOptions, Observations, PerformanceObservation, Ranks, fit_law_p,
};
use std::fmt::Write;

const RANKS: [usize; 4] = [8, 16, 32, 64];
const COLOURS: [&str; 4] = ["#0072b2", "#009e73", "#e69f00", "#d55e00"];
const FITTED_UP_TO: usize = 4096;
const PANEL: (f64, f64) = (430.0, 300.0);

/// Position of a size and a perplexity within a panel; both axes are logarithmic.
fn place(size: f64, perplexity: f64) -> (f64, f64) {
    let across = (size.log2() - 7.7) / (14.3 - 7.7);
    let down = (4.9_f64.ln() - perplexity.ln()) / (4.9_f64.ln() - 2.4_f64.ln());
    (across * PANEL.0, down * PANEL.1)
}

fn ranks(rank: usize) -> Ranks {
    Ranks::new().with("llm", rank)
}

fn best(size: usize, value: impl Fn(usize) -> f64) -> usize {
    assert!(size > 0);
    RANKS.into_iter().min_by(|a, b| value(*a).total_cmp(&value(*b))).unwrap()
}

fn axes(svg: &mut String) {
    let (width, height) = PANEL;
    let (seen, _) = place(FITTED_UP_TO as f64 * 1.414, 3.0);
    writeln!(svg, "<rect x='{seen:.1}' width='{:.1}' height='{height}' fill='#f1f1f1'/>", width - seen)
        .unwrap();
    writeln!(
        svg,
        "<text x='{:.1}' y='16' class='small' text-anchor='middle'>not fitted</text>",
        (seen + width) / 2.0
    )
    .unwrap();
    writeln!(svg, "<rect width='{width}' height='{height}' fill='none' stroke='#888'/>").unwrap();
    for power in 8..15 {
        let (x, _) = place(f64::from(1 << power), 3.0);
        writeln!(svg, "<line x1='{x:.1}' x2='{x:.1}' y1='{height}' y2='{}' stroke='#888'/>", height + 5.0)
            .unwrap();
        writeln!(svg, "<text x='{x:.1}' y='{}' text-anchor='middle'>{}</text>", height + 20.0, 1 << power)
            .unwrap();
    }
    for perplexity in [2.5, 3.0, 3.5, 4.0, 4.5] {
        let (_, y) = place(256.0, perplexity);
        writeln!(svg, "<line x1='0' x2='{width}' y1='{y:.1}' y2='{y:.1}' stroke='#ddd'/>").unwrap();
        writeln!(svg, "<text x='-8' y='{:.1}' text-anchor='end'>{perplexity}</text>", y + 4.0).unwrap();
    }
    writeln!(svg, "<text x='{}' y='{}' text-anchor='middle'>samples D</text>", width / 2.0, height + 40.0)
        .unwrap();
}

fn panel(svg: &mut String, title: &str, fit: &LawPFit, data: &[PerformanceObservation]) {
    axes(svg);
    writeln!(svg, "<text x='{}' y='-12' text-anchor='middle' class='title'>{title}</text>", PANEL.0 / 2.0)
        .unwrap();
    for (rank, colour) in RANKS.into_iter().zip(COLOURS) {
        let path: Vec<String> = (0..=120)
            .map(|i| {
                let size = 2_f64.powf(7.9 + 6.2 * f64::from(i) / 120.0).round() as usize;
                let (x, y) = place(size as f64, fit.predict(&ranks(rank), size));
                format!("{x:.1},{y:.1}")
            })
            .collect();
        writeln!(
            svg,
            "<polyline points='{}' fill='none' stroke='{colour}' stroke-width='1.6'/>",
            path.join(" ")
        )
        .unwrap();
        for o in data.iter().filter(|o| o.ranks == ranks(rank)) {
            let (x, y) = place(o.samples as f64, o.perplexity);
            let fill = if o.samples <= FITTED_UP_TO { colour } else { "white" };
            writeln!(
                svg,
                "<circle cx='{x:.1}' cy='{y:.1}' r='4' fill='{fill}' stroke='{colour}' stroke-width='1.6'/>"
            )
            .unwrap();
        }
    }
    best_ranks(svg, fit, data);
}

/// Best measured and best predicted rank of each size, under the axis.
fn best_ranks(svg: &mut String, fit: &LawPFit, data: &[PerformanceObservation]) {
    let height = PANEL.1;
    let mut right = 0;
    for (row, label) in ["best measured", "best predicted"].into_iter().enumerate() {
        let y = height + 66.0 + 18.0 * row as f64;
        writeln!(svg, "<text x='-8' y='{y}' text-anchor='end' class='small'>{label}</text>").unwrap();
    }
    for size in (8..15).map(|power| 1_usize << power) {
        let at = |rank| data.iter().find(|o| o.samples == size && o.ranks == ranks(rank)).unwrap().perplexity;
        let (measured, predicted) = (best(size, at), best(size, |rank| fit.predict(&ranks(rank), size)));
        right += usize::from(measured == predicted);
        let (x, _) = place(size as f64, 3.0);
        for (row, rank) in [measured, predicted].into_iter().enumerate() {
            let y = height + 66.0 + 18.0 * row as f64;
            let colour = if measured == predicted { "#222" } else { "#c00000" };
            let weight = if measured == predicted { "normal" } else { "bold" };
            writeln!(
                svg,
                "<text x='{x:.1}' y='{y}' text-anchor='middle' fill='{colour}' font-weight='{weight}'>{rank}</text>"
            )
            .unwrap();
        }
    }
    let (x, y) = (PANEL.0 / 2.0, height + 106.0);
    let text = format!("best rank right at {right} of 7 sizes; rms {:.3} on the fitted ones", fit.rms);
    writeln!(svg, "<text x='{x}' y='{y}' text-anchor='middle'>{text}</text>").unwrap();
}

fn main() {
    let text = include_str!("../tests/fixtures/mars_fig2a_perplexity.csv");
    let data = Observations::from_csv(text).unwrap().performance;
    let fitted: Vec<_> = data.iter().filter(|o| o.samples <= FITTED_UP_TO).cloned().collect();
    let bootstrap = BootstrapOptions { draws: 0, ..BootstrapOptions::default() };
    let options = LawPOptions { bootstrap, ..LawPOptions::default() };
    let mut svg = String::from(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 1080 470' font-family='sans-serif' font-size='12'>\n\
         <style>.title{font-size:15px;font-weight:bold}.small{font-size:11px;fill:#555}</style>\n\
         <rect width='1080' height='470' fill='white'/>\n",
    );
    let panels =
        [(Form::Published, "published form", 90.0), (Form::Overfit, "with over-fitting term", 630.0)];
    for (form, title, x) in panels {
        writeln!(svg, "<g transform='translate({x} 40)'>").unwrap();
        panel(&mut svg, title, &fit_law_p(&fitted, form, &options).unwrap(), &data);
        writeln!(svg, "</g>").unwrap();
    }
    let (_, middle) = place(256.0, 3.4);
    writeln!(
        svg,
        "<text transform='translate(36 {}) rotate(-90)' text-anchor='middle'>perplexity</text>",
        middle + 40.0
    )
    .unwrap();
    for (i, (rank, colour)) in RANKS.into_iter().zip(COLOURS).enumerate() {
        let y = 120.0 + 20.0 * i as f64;
        writeln!(svg, "<circle cx='545' cy='{y}' r='4' fill='{colour}'/>").unwrap();
        writeln!(svg, "<text x='555' y='{}'>r = {rank}</text>", y + 4.0).unwrap();
    }
    svg.push_str("</svg>\n");
    print!("{svg}");
}
