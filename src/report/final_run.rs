//! The final run: training and validation loss of the adapter that is the result.

use super::{
    axis::{Axis, Scale},
    chart::{Chart, Key, nothing, series},
    data::ReportData,
    number::fixed,
    svg::Shape,
};

/// Most points of a training curve; longer ones are averaged over equal stretches.
const POINTS: usize = 160;

/// One chart with the training and the validation loss.
pub(crate) fn figure(data: &ReportData) -> String {
    let title = "Final run";
    let val: Vec<_> = data
        .winner()
        .into_iter()
        .flat_map(|run| &run.val_curve)
        .map(|&(step, loss)| (step as f64, loss))
        .collect();
    let train = averaged(&data.final_train);
    let both = || train.iter().chain(&val);
    let x = Axis::over("optimizer step", Scale::Linear, both().map(|(step, _)| *step));
    let y = Axis::over("loss (nats per token)", Scale::Linear, both().map(|(_, loss)| *loss));
    let (Some(x), Some(y)) = (x, y) else { return nothing(title, "Its curves hold no finite loss.") };
    let mut chart = Chart::new("final", x, y);
    let mut legend = Vec::new();
    for (i, (curve, text)) in [(&train, "training"), (&val, "validation")].into_iter().enumerate() {
        if !curve.is_empty() {
            chart.line(curve.iter().copied(), &format!("line {}", series(i)));
            legend.push(Key { text: text.to_owned(), class: series(i), shape: None, line: true });
        }
    }
    let last = val
        .last()
        .map(|(step, loss)| format!("; validation ends at {} nats at step {step}", fixed(*loss, 4)));
    let last = last.unwrap_or_default();
    let description =
        format!("Training and validation loss of the final run at ranks {}{last}.", data.decision.ranks);
    let stretch = data.final_train.len().div_ceil(POINTS);
    let mut caption =
        if stretch > 1 { format!("Training loss averaged over {stretch} records.") } else { String::new() };
    if let Some((step, loss)) = kept(data) {
        chart.mark(
            Shape::of(1),
            (step as f64, loss),
            5.0,
            &format!("mark {}", series(1)),
            &format!("kept: step {step}"),
        );
        caption += &format!(" Marked: the adapter that is kept, of step {step}; later ones over-fit.");
        let ended = data.winner().and_then(|run| Some((run.val_curve.last()?.0, run.trial.steps)));
        if let Some((end, planned)) = ended.filter(|(end, planned)| end < planned) {
            caption += &format!(" The run ended at step {end} of {planned}, since that was certain.");
        }
    }
    chart.figure(title, &description, &legend, &caption)
}

/// The step and the validation loss of the adapter that is kept, where it is not the last.
fn kept(data: &ReportData) -> Option<(usize, f64)> {
    let run = data.winner()?;
    let step = run.kept?;
    run.val_curve.iter().copied().find(|(at, loss)| *at == step && loss.is_finite())
}

fn averaged(curve: &[(usize, f64)]) -> Vec<(f64, f64)> {
    curve
        .chunks(curve.len().div_ceil(POINTS).max(1))
        .map(|stretch| {
            let count = stretch.len() as f64;
            let sum = stretch.iter().fold((0.0, 0.0), |(x, y), (step, loss)| (x + *step as f64, y + loss));
            (sum.0 / count, sum.1 / count)
        })
        .collect()
}
