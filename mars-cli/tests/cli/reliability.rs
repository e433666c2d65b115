//! A part of what `cargo xtask reliability` sweeps: kills and failing disks at some operations on files of each kind.

use crate::kit::assets;
use mars_reliability::{Fault, Instrument, Operation, Scenario, Sweep, Verdict, sweep};
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

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

/// Nothing was wrong at `least` points and more, among them operations of every name in `kinds`.
fn all_well(sweep: &Sweep, least: usize, kinds: &[&str]) {
    let wrong: Vec<String> = sweep.wrong().map(ToString::to_string).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let same = sweep.points.iter().filter(|point| point.verdict == Verdict::Same);
    let met: BTreeSet<&str> = same.clone().map(|point| point.operation.name.as_str()).collect();
    assert!(same.count() >= least, "{} points", sweep.points.len());
    assert!(kinds.iter().all(|kind| met.contains(kind)), "{met:?}");
}

/// Chooses the first operation of each name, and one of every `every`.
fn some(every: usize) -> impl Fn(&Operation) -> bool {
    firsts(1, every)
}

/// Chooses the first `count` operations of each name, and one of every `every`.
fn firsts(count: usize, every: usize) -> impl Fn(&Operation) -> bool {
    let seen = RefCell::new(BTreeMap::new());
    move |one| {
        let mut seen = seen.borrow_mut();
        let own: &mut usize = seen.entry(one.name.clone()).or_default();
        *own += 1;
        *own <= count || one.number.is_multiple_of(every)
    }
}

#[test]
fn killed_at_any_operation_a_search_ends_as_if_it_never_was() {
    let faults = [Fault::KillBefore, Fault::KillInside];
    if let Some(sweep) = swept(&Scenario::native(&assets()).unwrap(), &faults, |one| one.number % 29 == 3) {
        all_well(&sweep, 16, &["write", "rename", "fsync"]);
    }
}

#[test]
fn a_failing_disk_ends_a_search_by_its_own_exit_code_and_the_next_call_goes_on() {
    let native = Scenario::native(&assets()).unwrap();
    if let Some(sweep) = swept(&native, &[Fault::FullOnce, Fault::FullForGood], |one| one.number % 71 == 5) {
        all_well(&sweep, 5, &["write"]);
    }
    let kinds = ["read", "open", "look", "create", "write", "rename", "fsync", "mkdir", "unlink"];
    if let Some(sweep) = swept(&native, &[Fault::BrokenOnce, Fault::BrokenForGood], some(499)) {
        all_well(&sweep, 9, &kinds);
    }
}

#[test]
fn what_a_killed_search_has_left_is_read_or_the_next_call_fails() {
    let Ok(instrument) = Instrument::new(Path::new(env!("CARGO_BIN_EXE_mars"))) else { return };
    let resumed = Scenario::resumed(&Scenario::native(&assets()).unwrap(), &instrument).unwrap();
    let own = |one: &Operation| Fault::READING.contains(&one.name.as_str()) && one.path.starts_with("out/");
    let first = some(40);
    let chosen = |one: &Operation| own(one) && first(one);
    if let Some(sweep) = swept(&resumed, &[Fault::BrokenOnce], chosen) {
        all_well(&sweep, 3, &["open", "read", "look"]);
    }
}

#[test]
fn searches_with_a_command_survive_the_same() {
    // What is read of a command that is at work depends on the moment: a repetition need not come to the same operation.
    if let Some(sweep) = swept(&Scenario::command(), &Fault::ALL, firsts(3, 23)) {
        all_well(&sweep, 30, &["read", "open", "look", "create", "write", "rename", "fsync"]);
    }
}
