//! Perplexity over the grid of ranks: what Law-P predicts, and what was measured, with the curve of equal times.

use super::{data::ReportData, number::fixed, svg::escape, svg::polyline};
use mars_laws::{Form, Ranks, solve_rank};
use mars_search::{LawPLoss, TrialResult};

const LEFT: f64 = 56.0;
const WIDTH: f64 = 390.0;
const TOP: f64 = 8.0;
const BOTTOM: f64 = 46.0;
const ROW: f64 = 34.0;

/// What one cell shows.
struct Cell {
    perplexity: f64,
    /// Where the value comes from.
    hint: String,
    /// Step of the measurement, where that is before the end of the run.
    early: Option<usize>,
}

/// Two maps for each module beside the reference; nothing where there is neither a law nor two measured choices.
/// Modules beyond the two of a map have their chosen ranks in it.
pub(crate) fn figures(data: &ReportData) -> String {
    let reference = &data.space.reference;
    let others = data.space.modules.iter().filter(|module| *module != reference).enumerate();
    others.map(|(i, module)| predicted(i, module, data) + &measured(i, module, data)).collect()
}

fn predicted(index: usize, module: &str, data: &ReportData) -> String {
    let Some(laws) = &data.decision.laws else { return String::new() };
    // One exponent for all modules says nothing of ranks that differ.
    let law = laws.law_p.as_ref().filter(|law| law.law.form != Form::Tied);
    let Some(law) = law else { return String::new() };
    let samples = data.budget.samples;
    let cell = |ranks: &Ranks| {
        let perplexity = law.predict(ranks, samples);
        let hint = format!("predicted {} with {samples} samples", fixed(perplexity, 4));
        Some(Cell { perplexity, hint, early: None })
    };
    let form = law.law.form;
    let caption = match laws.law_p_loss {
        Some(LawPLoss::FirstPass { steps }) => format!(
            "Training perplexity on unseen samples by Law-P (form {form}) after one pass over the {samples} samples ({steps} \
             steps), not that of the final run; darker is lower."
        ),
        Some(LawPLoss::Validation { steps }) => format!(
            "Validation perplexity by Law-P (form {form}) at {samples} samples and the end of runs of {steps} steps; darker is \
             lower."
        ),
        // Which loss a decision of an earlier version is about was not kept.
        _ => format!("Perplexity by Law-P (form {form}) at {samples} samples; darker is lower."),
    };
    map(&format!("predicted-{index}"), "Predicted perplexity", module, data, cell, &caption)
}

fn measured(index: usize, module: &str, data: &ReportData) -> String {
    let full = data.results.iter().filter(|result| !result.trial.role.is_calibration());
    let runs: Vec<&TrialResult> = full.filter(|result| result.kept_loss().is_some()).collect();
    let mut tried: Vec<&Ranks> = runs.iter().map(|result| &result.trial.ranks).collect();
    tried.sort();
    tried.dedup();
    if tried.len() < 2 {
        return String::new();
    }
    let cell = |ranks: &Ranks| {
        let own = runs.iter().filter(|result| result.trial.ranks == *ranks);
        let result = own.max_by_key(|result| result.trial.steps)?;
        let steps = result.trial.steps;
        let perplexity = result.kept_loss()?.exp();
        // Fewer where it over-fitted for certain.
        let taken = result.val_curve.last().map_or(steps, |(step, _)| *step);
        let hint = format!("measured {} after {taken} steps", fixed(perplexity, 4));
        Some(Cell { perplexity, hint, early: (steps < data.budget.steps).then_some(steps) })
    };
    let caption = "Validation perplexity of the choices that trained on all the data; darker is lower. A step below a value: \
                   the run was ended there, so that its value is not to be compared with those of other steps.";
    map(&format!("measured-{index}"), "Measured perplexity", module, data, cell, caption)
}

fn map(
    id: &str,
    title: &str,
    module: &str,
    data: &ReportData,
    cell: impl Fn(&Ranks) -> Option<Cell>,
    caption: &str,
) -> String {
    let reference = &data.space.reference;
    let (columns, rows) = (data.space.ranks_of(reference), data.space.ranks_of(module));
    let (side, height) = ((WIDTH - LEFT - 8.0) / columns.len() as f64, ROW * rows.len() as f64);
    let corner =
        |column: usize, row: usize| (LEFT + side * column as f64, TOP + height - ROW * (row + 1) as f64);
    let tuple = |column: usize, row: usize| {
        data.decision.ranks.clone().with(reference, columns[column]).with(module, rows[row])
    };
    let places = || (0..rows.len()).flat_map(|row| (0..columns.len()).map(move |column| (column, row)));
    let finite = |cell: &Cell| cell.perplexity.is_finite() && cell.perplexity > 0.0;
    let cells: Vec<_> =
        places().filter_map(|(c, r)| Some((c, r, cell(&tuple(c, r)).filter(finite)?))).collect();
    if cells.is_empty() {
        return String::new();
    }
    let ends = cells.iter().map(|(.., cell)| cell.perplexity.ln());
    let (low, high) =
        ends.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
    let (mut drawn, mut figures) = (String::new(), String::new());
    for (column, row, cell) in &cells {
        let ((x, y), ranks) = (corner(*column, *row), tuple(*column, *row));
        let share = if high > low { (high - cell.perplexity.ln()) / (high - low) } else { 1.0 };
        drawn += &format!(
            "<rect class=\"cell\" fill-opacity=\"{:.3}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{side:.1}\" height=\"{ROW}\">\
             <title>{}: {}</title></rect>",
            0.05 + 0.5 * share,
            escape(&ranks.to_string()),
            escape(&cell.hint),
        );
        let middle = x + side / 2.0;
        let (value, below) = (fixed(cell.perplexity, 3), cell.early.map(|step| format!("step {step}")));
        let shift = if below.is_some() { -3.0 } else { 4.0 };
        figures += &text("rank", middle, y + ROW / 2.0 + shift, "middle", &value);
        if let Some(below) = below {
            figures += &text("tick over", middle, y + ROW / 2.0 + 11.0, "middle", &below);
        }
    }
    for (column, row) in places().filter(|(c, r)| tuple(*c, *r) == data.decision.ranks) {
        let (x, y) = corner(column, row);
        drawn += &format!(
            "<rect class=\"ring\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" rx=\"3\"><title>chosen</title></rect>",
            x + 1.5,
            y + 1.5,
            side - 3.0,
            ROW - 3.0
        );
    }
    let bottom = TOP + height;
    drawn += &axes((reference, &columns, side), (module, &rows));
    let curve = balance(module, data, (&columns, side), (&rows, bottom));
    let lines = if curve.is_empty() { "" } else { " The line: equal convergence times." };
    let words = format!(
        "Perplexity by rank of {module} and rank of {reference}, {} of {} cells; the chosen ranks are {}.",
        cells.len(),
        columns.len() * rows.len(),
        data.decision.ranks
    );
    let title = escape(&format!("{title}, {module} and {reference}"));
    format!(
        "<figure><h3>{title}</h3><svg viewBox=\"0 0 {WIDTH} {:.1}\" role=\"img\" aria-labelledby=\"{id}-t {id}-d\">\
         <title id=\"{id}-t\">{title}</title><desc id=\"{id}-d\">{}</desc>{drawn}{curve}{figures}</svg>\
         <figcaption>{}{lines}</figcaption></figure>",
        bottom + BOTTOM,
        escape(&words),
        escape(caption)
    )
}

/// The candidate ranks of both modules at the edges of the cells, which are `side` pixels wide, and what they are of.
fn axes((across, columns, side): (&str, &[usize], f64), (up, rows): (&str, &[usize])) -> String {
    let height = ROW * rows.len() as f64;
    let bottom = TOP + height;
    let mut drawn = String::new();
    for (column, rank) in columns.iter().enumerate() {
        let middle = LEFT + side * column as f64 + side / 2.0;
        drawn += &text("tick", middle, bottom + 16.0, "middle", &rank.to_string());
    }
    for (row, rank) in rows.iter().enumerate() {
        let middle = bottom - ROW * (row + 1) as f64 + ROW / 2.0;
        drawn += &text("tick", LEFT - 7.0, middle + 4.0, "end", &rank.to_string());
    }
    let middle = LEFT + side * columns.len() as f64 / 2.0;
    drawn += &text("label", middle, bottom + 38.0, "middle", &format!("rank of {across}"));
    drawn
        + &format!(
            "<text class=\"label\" transform=\"translate(13 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            TOP + height / 2.0,
            escape(&format!("rank of {up}"))
        )
}

fn text(class: &str, x: f64, y: f64, anchor: &str, words: &str) -> String {
    format!(
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>",
        escape(words)
    )
}

/// The curve of equal convergence times over the cells, whose middles are the candidate ranks.
fn balance(module: &str, data: &ReportData, across: (&[usize], f64), up: (&[usize], f64)) -> String {
    let law = |module: &str| data.decision.laws.as_ref()?.law_c.get(module).map(|law| law.summary.law);
    let (Some(base), Some(other)) = (law(&data.space.reference), law(module)) else { return String::new() };
    let ((columns, side), (rows, bottom)) = (across, up);
    let (Some(&first), Some(&last)) = (columns.first(), columns.last()) else { return String::new() };
    let ranks = (0..=96).map(|i| first as f64 * (last as f64 / first as f64).powf(f64::from(i) / 96.0));
    let points: Vec<(f64, f64)> = ranks
        .filter_map(|rank| {
            let balanced = solve_rank(&base, rank, &other, data.budget.samples as f64, data.kappa).ok()?;
            Some((LEFT + side * (place(columns, rank)? + 0.5), bottom - ROW * (place(rows, balanced)? + 0.5)))
        })
        .collect();
    if points.len() < 2 { String::new() } else { polyline(&points, "line s1") }
}

/// Where a rank stands among the candidates, 0 for the first, by log2 between them; `None` beyond half a cell outside.
fn place(ranks: &[usize], rank: f64) -> Option<f64> {
    let logs: Vec<f64> = ranks.iter().map(|rank| (*rank as f64).log2()).collect();
    let at = rank.log2();
    if logs.len() < 2 {
        return logs.first().and_then(|only| ((only - at).abs() <= 0.5).then_some(at - only));
    }
    let above = logs.iter().position(|log| *log >= at).unwrap_or(logs.len() - 1).max(1);
    let share = (above - 1) as f64 + (at - logs[above - 1]) / (logs[above] - logs[above - 1]);
    (-0.5..=logs.len() as f64 - 0.5).contains(&share).then_some(share)
}

#[cfg(test)]
mod tests {
    use super::{super::sample::search, LawPLoss, figures, place};

    #[test]
    fn of_which_loss_the_predicted_perplexity_is() {
        let mut data = search("paper", 0.02);
        let mut caption = |loss: Option<LawPLoss>| {
            let laws = data.decision.laws.as_mut().unwrap_or_else(|| panic!("paper fits laws"));
            let own = std::mem::replace(&mut laws.law_p_loss, loss);
            (own, figures(&data))
        };
        let pass = LawPLoss::FirstPass { steps: 128 };
        let (joint, html) = caption(Some(pass));
        let told = "Training perplexity on unseen samples by Law-P (form published) after one pass over the 2048 samples \
                    (128 steps), not that of the final run; darker is lower.";
        assert!(html.contains(told) && !html.contains("Validation perplexity by Law-P"), "{html}");
        let (_, html) = caption(joint);
        let told = "Validation perplexity by Law-P (form published) at 2048 samples and the end of runs of 240 steps;";
        assert!(html.contains(told), "{html}");
        let (_, old) = caption(None);
        assert!(old.contains("<figcaption>Perplexity by Law-P (form published) at 2048 samples;"), "{old}");
    }

    #[test]
    fn ranks_stand_at_the_middles_of_their_cells() {
        let ranks = [4, 8, 32];
        for (at, rank) in ranks.iter().enumerate() {
            assert!((place(&ranks, *rank as f64).unwrap_or(f64::NAN) - at as f64).abs() < 1e-12);
        }
        assert!((place(&ranks, 16.0).unwrap_or(f64::NAN) - 1.5).abs() < 1e-12);
        assert_eq!((place(&ranks, 1.0), place(&ranks, f64::NAN), place(&ranks, 128.0)), (None, None, None));
        assert_eq!(place(&[16], 16.0), Some(0.0));
    }
}
