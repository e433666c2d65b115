//! Calibration curves: validation loss of each module trained alone, with the convergence points.

use super::{
    axis::{Axis, Scale},
    chart::{Chart, Key, nothing, series},
    data::ReportData,
    number::plain,
    svg::Shape,
};
use mars_search::{Role, TrialResult};

/// One chart for each module and subset size, one line for each rank and seed.
pub(crate) fn figures(data: &ReportData) -> String {
    let alone: Vec<_> = data.of_role(Role::Alone).collect();
    let mut ranks: Vec<usize> =
        alone.iter().flat_map(|result| result.trial.ranks.iter().map(|(_, r)| r)).collect();
    let mut sizes: Vec<usize> = alone.iter().map(|result| result.trial.samples).collect();
    for list in [&mut ranks, &mut sizes] {
        list.sort_unstable();
        list.dedup();
    }
    if alone.is_empty() {
        return nothing("Calibration", "This policy needed no calibration runs.");
    }
    let mut html = String::new();
    for (m, module) in data.space.modules.iter().enumerate() {
        for &samples in &sizes {
            let own: Vec<_> = alone
                .iter()
                .copied()
                .filter(|result| result.trial.ranks.get(module) > 0 && result.trial.samples == samples)
                .collect();
            if !own.is_empty() {
                html += &figure(&format!("calibration-{m}-{samples}"), module, samples, &own, &ranks);
            }
        }
    }
    html
}

fn figure(id: &str, module: &str, samples: usize, results: &[&TrialResult], ranks: &[usize]) -> String {
    let title = format!("{module} alone, {samples} samples");
    let points = || results.iter().flat_map(|result| result.val_curve.iter());
    let x = Axis::over("optimizer step", Scale::Linear, points().map(|(step, _)| *step as f64));
    let y = Axis::over("validation loss (nats per token)", Scale::Linear, points().map(|(_, loss)| *loss));
    let (Some(x), Some(y)) = (x, y) else {
        return nothing(&title, "No run of this kind has a finite loss.");
    };
    let mut chart = Chart::new(id, x, y);
    let (mut legend, mut converged) = (Vec::new(), 0);
    for (i, rank) in ranks.iter().enumerate() {
        let own: Vec<_> = results.iter().filter(|result| result.trial.ranks.get(module) == *rank).collect();
        for result in &own {
            let curve = || result.val_curve.iter().map(|&(step, loss)| (step as f64, loss));
            chart.line(curve(), &format!("line {}", series(i)));
            if let (Some(t), None) = (result.convergence, &result.censored)
                && let Some(loss) = between(&result.val_curve, t)
            {
                let hint = format!("rank {rank}, seed {}: converged at step {}", result.trial.seed, plain(t));
                chart.mark(Shape::of(i), (t, loss), 4.6, &format!("mark {}", series(i)), &hint);
                converged += 1;
            }
        }
        if !own.is_empty() {
            legend.push(Key {
                text: format!("rank {rank}"),
                class: series(i),
                shape: Some(Shape::of(i)),
                line: true,
            });
        }
    }
    let description = format!(
        "Validation loss over optimizer steps with only {module} adapted, for ranks {ranks:?}; {converged} of {} runs have \
         a convergence point, marked.",
        results.len()
    );
    let caption = format!(
        "{converged} of {} runs converged (marked); the others are censored or failed.",
        results.len()
    );
    chart.figure(&title, &description, &legend, if converged == results.len() { "" } else { &caption })
}

/// The curve's loss at a step between its points.
fn between(curve: &[(usize, f64)], at: f64) -> Option<f64> {
    curve.windows(2).find_map(|pair| {
        let ((a, from), (b, to)) = ((pair[0].0 as f64, pair[0].1), (pair[1].0 as f64, pair[1].1));
        (a <= at && at <= b && b > a).then(|| from + (to - from) * (at - a) / (b - a))
    })
}
