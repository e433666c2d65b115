//! What the search cost beside what successive halving and the full grid would have cost.

use super::{data::ReportData, number::fixed, svg::escape, tables};
use mars_search::{fine_tunes, halving_steps};

const WIDTH: f64 = 390.0;
const ROW: f64 = 34.0;
const LEFT: f64 = 132.0;
const RIGHT: f64 = 52.0;

/// A bar for each; nothing where the cost is not known or there is no grid.
pub(crate) fn figure(data: &ReportData) -> String {
    let (total, unit) = tables::costs(data);
    let (Some(cost), Ok(grid)) = (fine_tunes(&total, &unit), data.space.grid()) else { return String::new() };
    let (cells, steps) = (grid.len(), data.budget.steps);
    if !cost.is_finite() || steps == 0 {
        return String::new();
    }
    // Where the FLOPs of other ranks are not known, a run is one.
    let run = data.grid.map_or(1.0, |grid| grid / cells as f64);
    let halving = run * halving_steps(cells, steps, 2) as f64 / steps as f64;
    let grid = run * cells as f64;
    let bars = [
        ("one fine-tune", 1.0, false),
        ("this search", cost, true),
        ("successive halving", halving, false),
        ("full grid", grid, false),
    ];
    let longest = bars.iter().map(|(_, value, _)| *value).fold(1.0, f64::max);
    let drawn: String = bars
        .iter()
        .enumerate()
        .map(|(i, (name, value, own))| {
            let y = 6.0 + ROW * i as f64;
            let width = ((WIDTH - LEFT - RIGHT) * value / longest).max(1.0);
            let class = if *own { "bar s1" } else { "bar faint" };
            format!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
                 <rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"22\"/>\
                 <text x=\"{:.1}\" y=\"{:.1}\">{}</text>",
                LEFT - 8.0,
                y + 15.5,
                escape(name),
                LEFT + width + 6.0,
                y + 15.5,
                fixed(*value, 2)
            )
        })
        .collect();
    let title = "Price in fine-tunes";
    let description = format!(
        "This search cost {cost:.2} fine-tunes; successive halving over {cells} rank choices costs {halving:.2}, the full \
         grid {grid:.2}."
    );
    let caption = match data.grid {
        Some(_) => {
            "Grid by the FLOPs of its runs, halving by its number of steps at their mean price, as if no run failed."
        }
        None => {
            "Halving and grid by their number of steps, as if no run failed and the chosen ranks cost what the others do, of which the \
             FLOPs are not known."
        }
    };
    format!(
        "<figure><h3>{title}</h3><svg viewBox=\"0 0 {WIDTH} {:.1}\" role=\"img\" aria-labelledby=\"price-t price-d\">\
         <title id=\"price-t\">{title}</title><desc id=\"price-d\">{}</desc>{drawn}</svg>\
         <figcaption>{caption}</figcaption></figure>",
        ROW * bars.len() as f64 + 6.0,
        escape(&description)
    )
}
