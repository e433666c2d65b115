//! The race: validation loss of the competing rank choices, and where each was dropped.

use super::{
    axis::{Axis, Scale},
    chart::{Chart, Key, nothing, series},
    data::ReportData,
    svg::Shape,
};
use mars_search::{Role, TrialResult};

/// More competitors than this are drawn alike, but for the winner.
const TOLD_APART: usize = 6;

/// One chart with one line for each rank choice that competed; nothing when none did.
pub(crate) fn figure(data: &ReportData) -> String {
    let mut furthest: Vec<&TrialResult> = Vec::new();
    for result in data.of_role(Role::Race) {
        match furthest.iter_mut().find(|other| other.trial.ranks == result.trial.ranks) {
            Some(other) if other.trial.steps < result.trial.steps => *other = result,
            Some(_) => {}
            None => furthest.push(result),
        }
    }
    if furthest.is_empty() {
        return String::new();
    }
    let points = || furthest.iter().flat_map(|result| result.val_curve.iter());
    // Choices are mostly dropped early: on a linear axis that would be one place.
    let x = Axis::over("optimizer step", Scale::Log, points().map(|(step, _)| *step as f64));
    // The steep beginning would hide what the race is about.
    let ends = furthest.iter().filter_map(|result| result.val_curve.last().map(|(step, _)| *step));
    let from = ends.min().unwrap_or(0);
    let told = points().filter(|(step, loss)| *step >= from && loss.is_finite()).map(|(_, loss)| *loss);
    let y = Axis::over("validation loss (nats per token)", Scale::Linear, told);
    let title = "Race of the candidates";
    let (Some(x), Some(y)) = (x, y) else { return nothing(title, "No competitor has a finite loss.") };
    let mut chart = Chart::new("race", x, y);
    let many = furthest.len() > TOLD_APART;
    let mut legend = Vec::new();
    // The winner last, so that it lies on top.
    furthest.sort_by_key(|result| result.trial.ranks == data.decision.ranks);
    for (i, result) in furthest.iter().enumerate() {
        let won = result.trial.ranks == data.decision.ranks;
        let class = match (many, won) {
            (true, false) => "faint".to_owned(),
            (true, true) => series(0),
            _ => series(i),
        };
        chart
            .line(result.val_curve.iter().map(|&(step, loss)| (step as f64, loss)), &format!("line {class}"));
        let shape = if won { Shape::Star } else { Shape::Cross };
        let end = result.val_curve.iter().rev().find(|(_, loss)| loss.is_finite());
        if let Some(&(step, loss)) = end {
            let hint = format!("{}: {loss:.4} nats at step {step}", result.trial.ranks);
            chart.mark(shape, (step as f64, loss), 5.0, &format!("mark {class}"), &hint);
        }
        if !many || won {
            let text = format!("{}{}", result.trial.ranks, if won { " (chosen)" } else { "" });
            legend.push(Key { text, class, shape: Some(shape), line: true });
        }
    }
    if many {
        let text = format!("the other {}", furthest.len() - 1);
        legend.insert(0, Key { text, class: "faint".to_owned(), shape: Some(Shape::Cross), line: true });
    }
    let description = format!(
        "Validation loss of {} competing rank choices over optimizer steps; {} was trained to the end and chosen.",
        furthest.len(),
        data.decision.ranks
    );
    chart.figure(title, &description, &legend, "A cross marks the end of a competitor that was not chosen. Losses from before the first end may lie above the frame.")
}
