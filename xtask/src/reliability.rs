//! Faults at every operation on files.

use crate::{command::Outcome, place::Place};

/// Builds `mars` and lets the package `mars-reliability` sweep it.
pub(crate) fn run(options: &[String], place: &Place) -> Outcome {
    let program = place.mars()?;
    place
        .cargo(&["run", "--quiet", "--package", "mars-reliability", "--", "--program"])
        .args(&[program.to_string_lossy()])
        .args(options)
        .run()
}
