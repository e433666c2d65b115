//! Faults at every operation on files, long tests, faults of our own code, and random inputs.

use crate::{command::Outcome, mutants, place::Place};

/// `reliability` with its options: one of the parts `deep`, `mutants` and `fuzz`, or a sweep.
pub(crate) fn run(options: &[String], place: &Place) -> Outcome {
    match options.split_first() {
        Some((part, [])) if part == "deep" => deep(place),
        Some((part, words)) if part == "mutants" => mutants::run(words, place),
        Some((part, rest)) if part == "fuzz" => fuzz(rest, place),
        _ => sweep(options, place),
    }
}

/// The tests that take minutes: a thousand kills, fifty processes for twenty rounds, every file cut at every byte.
fn deep(place: &Place) -> Outcome {
    let crates = ["--package", "mars-calib", "--no-default-features"];
    place.cargo(&["build", "--examples"]).args(&crates).run()?;
    let tests = ["--test", "suite", "--", "--ignored", "--nocapture", "--test-threads", "1"];
    place.cargo(&["test"]).args(&crates).args(&tests).run()
}

/// Random inputs for the readers of foreign files, see `fuzz/`.
fn fuzz(options: &[String], place: &Place) -> Outcome {
    let target = place.target()?.join("fuzz");
    place
        .cargo_in(&place.root.join("fuzz"), &["run", "--quiet", "--bin", "mutate", "--"])
        .env("CARGO_TARGET_DIR", &target.to_string_lossy())
        .args(options)
        .run()
}

/// Builds `mars` and lets the package `mars-reliability` sweep it.
fn sweep(options: &[String], place: &Place) -> Outcome {
    let program = place.mars()?;
    place
        .cargo(&["run", "--quiet", "--package", "mars-reliability", "--", "--program"])
        .args(&[program.to_string_lossy()])
        .args(options)
        .run()
}
