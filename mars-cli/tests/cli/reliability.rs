//! A part of what `cargo xtask reliability` sweeps: kills and failing disks at some operations on files of each kind.

use crate::kit::assets;
use mars_reliability::{Fault, Instrument, Operation, Scenario, Sweep, sweep};
use std::path::Path;

/// Sweeps at every operation for which `chosen` is true. `None` where there is no instrument.
#[allow(clippy::print_stderr)]
fn swept(scenario: &Scenario, faults: &[Fault], chosen: impl Fn(&Operation) -> bool) -> Option<Sweep> {
    match Instrument::new(Path::new(env!("CARGO_BIN_EXE_mars"))) {
        Ok(instrument) => Some(sweep(&instrument, scenario, faults, 2, chosen, |_, _| {}).unwrap()),
        Err(why) => {
            eprintln!("skipped: {why:#}");
            None
        }
    }
}

fn all_well(sweep: &Sweep, least: usize) {
    let wrong: Vec<String> = sweep.wrong().map(ToString::to_string).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(sweep.points.len() >= least, "{} points", sweep.points.len());
}

#[test]
fn killed_at_any_operation_a_search_ends_as_if_it_never_was() {
    let faults = [Fault::KillBefore, Fault::KillInside];
    if let Some(sweep) = swept(&Scenario::native(&assets()).unwrap(), &faults, |one| one.number % 29 == 3) {
        all_well(&sweep, 16);
    }
}

#[test]
fn a_failing_disk_ends_a_search_by_its_own_exit_code_and_the_next_call_goes_on() {
    let chosen = |one: &Operation| one.number % 71 == 5;
    if let Some(sweep) = swept(&Scenario::native(&assets()).unwrap(), &Fault::ALL[2..], chosen) {
        all_well(&sweep, 10);
    }
}

#[test]
fn searches_with_a_command_survive_the_same() {
    if let Some(sweep) = swept(&Scenario::command(), &Fault::ALL, |one| one.number % 11 == 4) {
        all_well(&sweep, 30);
    }
}
