//! What a further search in the directory of a finished one leaves, and when it counts as done.

use crate::kit::{config, open, space_and_budget, tiled};
use mars::{
    ErrorKind, Interrupt, Search,
    event::Event,
    mars_calib::FakeTrainer,
    report,
    search::{Stage, status},
};
use serde_json::Value;
use std::fs;
use tempfile::tempdir;

#[test]
fn a_search_that_stops_before_its_result_is_written_is_not_done_by_that_of_another() {
    let (place, mut config) = tiled();
    let out = place.path().join("out");
    let task = open(&config);
    Search::new(config.clone()).run(&task, &out).unwrap();
    let stage = || status(&out).unwrap().stage;
    assert_eq!(stage(), Stage::Done);

    config.search.policy = "fixed:4x4".parse().unwrap();
    let interrupt = Interrupt::new();
    let mut observer = |event: &Event<'_>| {
        if matches!(event, Event::Testing) {
            interrupt.request();
        }
    };
    let stopped = Search::new(config.clone()).interrupt(interrupt.clone()).observe(&mut observer);
    assert_eq!(stopped.run(&task, &out).unwrap_err().kind(), ErrorKind::Interrupted);
    assert_eq!(stage(), Stage::Decided);
    let summary = out.join("adapter/mars_search.json");
    assert!(!summary.exists(), "the adapter is of other ranks");

    let finished = Search::new(config).run(&task, &out).unwrap();
    assert_eq!(stage(), Stage::Done);
    let summary: Value = serde_json::from_slice(&fs::read(summary).unwrap()).unwrap();
    assert_eq!(summary["ranks"], serde_json::to_value(&finished.decision.ranks).unwrap());
}

#[test]
fn a_search_whose_report_cannot_be_written_is_not_done() {
    let out = tempdir().unwrap();
    let config = config("fixed:8x8");
    let (space, budget) = space_and_budget(&config);
    let search =
        || Search::new(config.clone()).run_with(&mut FakeTrainer::default(), &space, &budget, out.path());
    let stage = || status(out.path()).unwrap().stage;
    // A folder in the way.
    let place = out.path().join("report.json");
    fs::create_dir_all(place.join("folder")).unwrap();
    search().unwrap_err();
    assert_eq!(stage(), Stage::Decided);
    fs::remove_dir_all(place).unwrap();
    search().unwrap();
    assert_eq!(stage(), Stage::Done);
    report::rewrite(out.path(), None).unwrap();
}

/// High ranks cost more than low ones: the grid is not so many times the run that won.
#[test]
fn the_price_of_the_grid_is_that_of_its_runs() {
    let (place, mut config) = tiled();
    config.search.policy = "grid".parse().unwrap();
    config.search.ranks = vec![2, 32];
    let out = place.path().join("out");
    let measured = Search::new(config.clone()).run(&open(&config), &out).unwrap().cost.fine_tunes.unwrap();
    let report: Value = serde_json::from_slice(&fs::read(out.join("report.json")).unwrap()).unwrap();
    let foreseen = report["grid"].as_f64().unwrap();
    // Priced by the first batch, whose samples are not as long as all.
    assert!((foreseen / measured - 1.0).abs() < 0.1, "{foreseen}, measured {measured}");
    // The report of an earlier version does not have it.
    let mut earlier = report;
    earlier.as_object_mut().unwrap().remove("grid");
    fs::write(out.join("report.json"), earlier.to_string()).unwrap();
    report::rewrite(&out, None).unwrap();
    assert!(fs::read_to_string(out.join("report.html")).unwrap().contains("the full grid is 4 final runs"));
}

#[test]
fn fits_are_those_of_the_last_search() {
    let out = tempdir().unwrap();
    let mut config = config("paper");
    let (space, budget) = space_and_budget(&config);
    let fits = out.path().join("fits.json");
    for (policy, rate, fitted) in [("paper", 1e-4, true), ("fixed:8x8", 1e-3, false)] {
        config.search.policy = policy.parse().unwrap();
        config.train.learning_rate = rate;
        let search = Search::new(config.clone()).accept_changes(true);
        search.run_with(&mut FakeTrainer::default(), &space, &budget, out.path()).unwrap();
        assert_eq!(fits.is_file(), fitted, "{policy}");
    }
}
