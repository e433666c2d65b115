//! Registered curves: the validation losses of one module at several ranks, laid on one another over log time.

use super::{
    axis::{Axis, Scale},
    chart::{Chart, Key, nothing, series},
    data::ReportData,
    number::{fixed, plain},
    svg::{Shape, escape},
};
use mars_laws::{Registration, RegistrationOutcome};
use mars_search::{RegisteredSet, Role, TrialResult};

/// One chart for each module and size at which several ranks were calibrated; nothing where curves were not registered.
pub(crate) fn figures(data: &ReportData) -> String {
    let Some(laws) = &data.decision.laws else { return String::new() };
    let mut html = String::new();
    for (m, module) in data.space.modules.iter().enumerate() {
        for set in laws.registered.get(module).into_iter().flatten() {
            html += &figure(&format!("registered-{m}-{}", set.samples), module, set, data);
        }
    }
    html
}

fn figure(id: &str, module: &str, set: &RegisteredSet, data: &ReportData) -> String {
    let own = |result: &&TrialResult| {
        result.trial.ranks.get(module) > 0 && result.trial.samples == set.samples && result.fault().is_none()
    };
    let results: Vec<&TrialResult> = data.of_role(Role::Alone).filter(own).collect();
    let mut ranks: Vec<usize> = results.iter().map(|result| result.trial.ranks.get(module)).collect();
    ranks.sort_unstable();
    ranks.dedup();
    let title = format!("Curves of {module} in one time, {} samples", set.samples);
    let found = match &set.outcome {
        // A size at which only the highest rank was trained has nothing to be laid on.
        RegistrationOutcome::Refused { .. } if ranks.len() < 2 => return String::new(),
        RegistrationOutcome::Refused { why } => return nothing(&title, &format!("Not registered: {why}.")),
        RegistrationOutcome::Registered(found) => found,
    };
    let end = results.iter().filter_map(|result| result.val_curve.last()).map(|(step, _)| *step).min();
    let points = |result: &TrialResult, shift: f64| -> Vec<(f64, f64)> {
        let seen = result.val_curve.iter().filter(|(step, _)| *step > 0 && Some(*step) <= end);
        seen.map(|&(step, loss)| (step as f64 * shift.exp(), loss)).collect()
    };
    let shifted: Vec<(usize, Vec<(f64, f64)>)> = results
        .iter()
        .filter_map(|result| {
            let rank = result.trial.ranks.get(module);
            let shift = found.shifts.iter().find(|shift| shift.rank == rank)?.shift;
            Some((rank, points(result, shift)))
        })
        .collect();
    let every = || shifted.iter().flat_map(|(_, points)| points.iter().copied());
    let lowest = ranks.first().copied().unwrap_or(0);
    let label = format!("steps, in the time of rank {lowest}");
    let x = Axis::over(&label, Scale::Log, every().map(|(step, _)| step));
    let y = Axis::over("validation loss (nats per token)", Scale::Linear, every().map(|(_, loss)| loss));
    let (Some(x), Some(y)) = (x, y) else { return nothing(&title, "There is no point.") };
    let mut chart = Chart::new(id, x, y);
    chart.line(found.curve.iter().map(|point| (point[0], point[1])), "line faint");
    let mut legend =
        vec![Key { text: "common curve".to_owned(), class: "faint".to_owned(), shape: None, line: true }];
    for (i, rank) in ranks.iter().enumerate() {
        for (_, points) in shifted.iter().filter(|(own, _)| own == rank) {
            for &(step, loss) in points {
                let hint = format!("rank {rank}: {loss:.4} nats at {} steps of rank {lowest}", plain(step));
                chart.mark(Shape::of(i), (step, loss), 4.2, &format!("mark {}", series(i)), &hint);
            }
        }
        legend.push(Key {
            text: format!("rank {rank}"),
            class: series(i),
            shape: Some(Shape::of(i)),
            line: false,
        });
    }
    let description = format!(
        "Validation loss of {module} alone at ranks {ranks:?}, each curve moved in log time so that all lie on one; gamma = {}.",
        fixed(found.gamma, 3)
    );
    chart.figure(&title, &description, &legend, &escape(&caption(found, end.unwrap_or(0))))
}

fn caption(found: &Registration, end: usize) -> String {
    let interval = found.gamma_interval;
    let interval = if interval.lo.is_finite() && interval.hi.is_finite() {
        format!(", 95 % interval [{:.3}, {:.3}]", interval.lo, interval.hi)
    } else {
        String::new()
    };
    format!(
        "The first {end} steps of each rank, moved by a factor in time that goes as r^γ: γ = {}{interval}. Farthest from the common \
         curve: {} % of the improvement.",
        fixed(found.gamma, 3),
        fixed(100.0 * found.misfit, 1)
    )
}
