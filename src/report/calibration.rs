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
                let id = format!("calibration-{m}-{samples}");
                html += &figure(
                    &id,
                    &format!("{module} alone, {samples} samples"),
                    module,
                    &own,
                    (data, &ranks[..]),
                );
            }
        }
    }
    html
}

/// The convergence time of an alone run of `module`: the one that the law was fitted to. Where there is no law it is that of
/// the run by itself, which runs that end with the window do not have.
fn time(data: &ReportData, module: &str, result: &TrialResult) -> Option<f64> {
    let law = data.decision.laws.as_ref().and_then(|laws| laws.law_c.get(module));
    match law.and_then(|law| law.points.iter().find(|point| point.trial == result.trial.id)) {
        Some(point) => point.steps,
        None if data.budget.calibration.ends_with_window(&result.trial) => None,
        None => result.convergence.filter(|_| result.censored.is_none()),
    }
}

fn figure(
    id: &str,
    title: &str,
    module: &str,
    results: &[&TrialResult],
    (data, ranks): (&ReportData, &[usize]),
) -> String {
    let points = || results.iter().flat_map(|result| result.val_curve.iter());
    let x = Axis::over("optimizer step", Scale::Linear, points().map(|(step, _)| *step as f64));
    let y = Axis::over("validation loss (nats per token)", Scale::Linear, points().map(|(_, loss)| *loss));
    let (Some(x), Some(y)) = (x, y) else {
        return nothing(title, "No run of this kind has a finite loss.");
    };
    let mut chart = Chart::new(id, x, y);
    let (mut legend, mut converged, mut beyond) = (Vec::new(), 0, 0);
    for (i, rank) in ranks.iter().enumerate() {
        let own: Vec<_> = results.iter().filter(|result| result.trial.ranks.get(module) == *rank).collect();
        for result in &own {
            let curve = || result.val_curve.iter().map(|&(step, loss)| (step as f64, loss));
            chart.line(curve(), &format!("line {}", series(i)));
            let Some(t) = time(data, module, result) else { continue };
            let Some(loss) = between(&result.val_curve, t) else {
                beyond += 1;
                continue;
            };
            let hint = format!("rank {rank}, seed {}: converged at step {}", result.trial.seed, plain(t));
            chart.mark(Shape::of(i), (t, loss), 4.6, &format!("mark {}", series(i)), &hint);
            converged += 1;
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
    let mut caption = format!("{converged} of {} runs converged (marked)", results.len());
    if beyond > 0 {
        caption += &format!("; for {beyond} others the law uses a time beyond the last step");
    }
    if converged + beyond < results.len() {
        caption += "; the rest have no convergence time";
    }
    caption.push('.');
    chart.figure(title, &description, &legend, if converged == results.len() { "" } else { &caption })
}

/// The curve's loss at a step between its points.
fn between(curve: &[(usize, f64)], at: f64) -> Option<f64> {
    curve.windows(2).find_map(|pair| {
        let ((a, from), (b, to)) = ((pair[0].0 as f64, pair[0].1), (pair[1].0 as f64, pair[1].1));
        (a <= at && at <= b && b > a).then(|| from + (to - from) * (at - a) / (b - a))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{figures, plain};
    use crate::report::sample::registered;
    use mars_search::{LawPoint, RegisteredSet, Role, TrialResult};

    /// Marks are the points of the law on the same page; a run that ends with the window has none of its own.
    #[test]
    fn marks_are_at_the_times_of_the_law() {
        let mut data = registered("race");
        let laws = data.decision.laws.clone().unwrap();
        let sets: Vec<&RegisteredSet> = laws.registered.values().flatten().collect();
        assert!(!sets.is_empty() && laws.law_c.len() == 2, "{:?}", laws.unfitted);
        let html = figures(&data);
        let window = data.budget.calibration.window.unwrap();
        let marks = |html: &str| html.matches(": converged at step").count();
        let (mut expected, mut of_windows) = (0, 0);
        for (m, module) in data.space.modules.iter().enumerate() {
            for point in &laws.law_c[module].points {
                let LawPoint { trial, rank, samples, seed, steps, .. } = point;
                let result: &TrialResult = data.results.iter().find(|one| one.trial.id == *trial).unwrap();
                let chart =
                    html.split(&format!("aria-labelledby=\"calibration-{m}-{samples}-t")).nth(1).unwrap();
                let chart = chart.split("</svg>").next().unwrap();
                let hint = |at: f64| format!("rank {rank}, seed {seed}: converged at step {}<", plain(at));
                let within = steps.filter(|steps| *steps <= result.trial.steps as f64);
                if let Some(steps) = within {
                    assert!(chart.contains(&hint(steps)), "{module} {point:?}");
                    (expected, of_windows) =
                        (expected + 1, of_windows + usize::from(result.trial.steps <= window));
                }
                if result.trial.steps <= window {
                    assert!(!chart.contains(&hint(result.convergence.unwrap())), "its own: {point:?}");
                }
            }
        }
        assert_eq!(marks(&html), expected);
        assert!(of_windows > 0, "{expected}");
        // Without laws there is nothing to be said of the windows.
        data.decision.laws = None;
        let whole = data.results.iter().filter(|one| one.trial.role == Role::Alone);
        let whole = whole.filter(|one| one.trial.steps > window).count();
        assert_eq!(marks(&figures(&data)), whole);
    }
}
