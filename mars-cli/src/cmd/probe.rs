//! What `mars plan --probe` has measured, as text.

use crate::output;
use mars::{
    plan::{Condition, Expense, Phase, Probe},
    quantity::{bytes, duration, flops, number},
};

pub(crate) fn describe(probe: &Probe) -> String {
    let load = probe.load.map_or_else(String::new, |load| format!(", at a load of {load:.1}"));
    let mut parts = vec![format!(
        "probe of policy {}: {} steps in {}{load}",
        probe.policy,
        probe.measured_steps,
        duration(probe.measured.wall)
    )];
    let open = probe.phases.iter().any(|phase| phase.condition == Some(Condition::IfAsUsual));
    let mut rows = Vec::new();
    for phase in probe.phases.iter().chain(&probe.grid) {
        if phase.phase == Phase::Grid {
            rows.push(row("total", "", "", &probe.total, ""));
        }
        rows.push(row(
            match phase.phase {
                Phase::Calibration => "calibration",
                Phase::Race => "race",
                Phase::Final => "final run",
                Phase::Grid => "full grid",
                _ => "other",
            },
            &phase.runs.to_string(),
            &phase.steps.to_string(),
            &phase.expense,
            match phase.condition {
                Some(Condition::AtMost) if open && phase.phase == Phase::Grid => {
                    "at most, except for the unit"
                }
                Some(Condition::AtMost) => "at most",
                Some(Condition::IfAsUsual) => "expected",
                // What the winner costs is the unit.
                _ if open && phase.phase == Phase::Grid => "certain, except for the unit",
                _ => "",
            },
        ));
    }
    if probe.grid.is_none() {
        rows.push(row("total", "", "", &probe.total, ""));
    }
    let header = ["part", "runs", "steps", "time", "processor time", "FLOPs", "fine-tunes", "certainty"];
    parts.push(output::table(&header, rows));
    let mut notes = Vec::new();
    if let Some(peak) = probe.peak_memory {
        notes.push(format!("peak memory of a process: {} (without device memory)", bytes(peak)));
    }
    if open {
        notes.push(format!(
            "one fine-tune is the final run at {}, the expected winner; other ranks cost different FLOPs",
            probe.ranks
        ));
    }
    parts.push(notes.join("\n"));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

fn row(part: &str, runs: &str, steps: &str, expense: &Expense, condition: &str) -> Vec<String> {
    vec![
        part.to_owned(),
        runs.to_owned(),
        steps.to_owned(),
        duration(expense.seconds.wall),
        duration(expense.seconds.cpu),
        expense.flops.map_or_else(|| "unknown".to_owned(), flops),
        number(expense.fine_tunes),
        if condition.is_empty() && !runs.is_empty() { "certain".to_owned() } else { condition.to_owned() },
    ]
}
