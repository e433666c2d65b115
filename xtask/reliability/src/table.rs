//! Sweeps as a table.

use crate::{Fault, Sweep, Verdict};
use std::fmt::Write;

/// Markdown: a row for each scenario and fault with the numbers of points, then a line for each that was wrong.
pub fn table(sweeps: &[Sweep]) -> String {
    let mut text = String::from(
        "| call | operations | fault | points | same to the bit | met and harmless | not met | wrong |\n|---|---|---|---|---|---|---|---|\n",
    );
    for sweep in sweeps {
        for fault in Fault::ALL {
            let verdicts: Vec<&Verdict> = sweep
                .points
                .iter()
                .filter(|point| point.fault == fault)
                .map(|point| &point.verdict)
                .collect();
            if verdicts.is_empty() {
                continue;
            }
            let count = |like: &dyn Fn(&Verdict) -> bool| verdicts.iter().filter(|one| like(one)).count();
            // Writing to a string does not fail.
            let _ = writeln!(
                text,
                "| {} | {} | {fault} | {} | {} | {} | {} | {} |",
                sweep.scenario,
                sweep.operations,
                verdicts.len(),
                count(&|one| *one == Verdict::Same),
                count(&|one| *one == Verdict::Harmless),
                count(&|one| *one == Verdict::Unmet),
                count(&|one| matches!(one, Verdict::Wrong(_))),
            );
        }
    }
    for (sweep, point) in sweeps.iter().flat_map(|sweep| sweep.wrong().map(move |point| (sweep, point))) {
        let _ = write!(text, "\n* {}, {point}", sweep.scenario);
    }
    text
}
