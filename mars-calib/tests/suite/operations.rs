//! Operations on files of the example `campaign` under the instrument of `cargo xtask reliability`: what is put in place is
//! flushed before and after, and a kill or a failing disk at any operation changes no result.

use mars_reliability::{Fault, Instrument, Scenario, Verdict, sweep, unflushed};
use std::path::{Path, PathBuf};
use tempfile::tempdir;

/// The example beside this test's own binary.
fn example() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let example = own.parent().and_then(Path::parent).unwrap().join("examples/campaign");
    assert!(example.is_file(), "{} is missing: run the tests with examples built", example.display());
    example
}

fn scenario() -> Scenario {
    let arguments = ["out", "events.log", "0"].map(str::to_owned).to_vec();
    Scenario { name: "planted", arguments, files: Vec::new(), done_already: "" }
}

#[allow(clippy::print_stderr)]
fn instrument() -> Option<Instrument> {
    Instrument::new(&example()).map_err(|why| eprintln!("skipped: {why:#}")).ok()
}

#[test]
fn what_is_put_in_place_is_flushed_before_and_after() {
    let Some(instrument) = instrument() else { return };
    let place = tempdir().unwrap();
    let done = instrument.call(&scenario(), place.path(), None).unwrap();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let renamed = done.operations.iter().filter(|one| one.name == "rename").count();
    assert!(renamed > 30, "{renamed} renames");
    assert_eq!(unflushed(&done.operations), Vec::<String>::new());
}

#[test]
fn a_kill_at_some_operations_changes_no_result() {
    let Some(instrument) = instrument() else { return };
    let own = |every: usize| {
        move |one: &mars_reliability::Operation| one.path.starts_with("out") && one.number % every == 5
    };
    let kills =
        sweep(&instrument, &scenario(), &[Fault::KillBefore, Fault::KillInside], 2, own(23), |_, _| {})
            .unwrap();
    let full = sweep(&instrument, &scenario(), &[Fault::KillInside], 2, own(29), |_, _| {}).unwrap();
    for sweep in [kills, full] {
        let wrong: Vec<String> = sweep.wrong().map(ToString::to_string).collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(sweep.points.iter().filter(|point| point.verdict == Verdict::Same).count() > 5);
    }
}
