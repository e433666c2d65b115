//! Which adapter a search leaves, whatever its checkpoints hold.

use mars::{
    ErrorKind, Interrupt, Search, SearchConfig, Task,
    event::Event,
    mars_calib::{Campaign, Keep, RunEnd, order::stream},
};
use mars_testkit::toy::{Points, Toy};
use std::{fs, path::Path};
use tempfile::tempdir;

/// Few samples, on which a run over-fits for certain.
const FEW: usize = 12;
const WIDTH: usize = 12;
const CLASSES: usize = 6;

fn task() -> Task<Toy, Points> {
    let points = |seed, count| Points::random(&mut stream(seed, "toy", 0), count, WIDTH, CLASSES);
    let model = Toy::random(&mut stream(1, "weights", 0), WIDTH, CLASSES);
    Task::new(model, points(1, FEW), points(2, 50), points(3, 20))
}

fn search(keep: Keep) -> Search<'static> {
    let mut config = SearchConfig::default();
    config.search.policy = "fixed:4x4".parse().unwrap();
    (config.train.steps, config.train.batch, config.train.seed) = (Some(120), 8, 3);
    (config.train.eval_every, config.train.learning_rate) = (Some(4), 0.05);
    config.train.keep = keep;
    config.run.checkpoint_every = Some(4);
    Search::new(config).accept_changes(true)
}

fn weights(out: &Path) -> Vec<u8> {
    fs::read(out.join("adapter/adapter_model.safetensors")).unwrap()
}

/// Interrupted under `train.keep = "last"`, a run has no checkpoint with its best adapter.
#[test]
fn the_best_adapter_is_trained_again_where_a_run_did_not_keep_it() {
    let (task, place) = (task(), tempdir().unwrap());
    let (straight, resumed) = (place.path().join("straight"), place.path().join("resumed"));
    search(Keep::Best).run(&task, &straight).unwrap();
    let record = Campaign::read(&straight).unwrap().records.into_values().next().unwrap();
    let end = record.val.last().unwrap().step;
    assert!(record.end == RunEnd::Overfit && end < 120, "{} at {end}", record.end);

    let interrupt = Interrupt::new();
    let mut stop = |event: &Event<'_>| {
        if matches!(event, Event::Progress(progress) if progress.done >= end as u64) {
            interrupt.request();
        }
    };
    let begun = search(Keep::Last).interrupt(interrupt.clone()).observe(&mut stop);
    assert_eq!(begun.run(&task, &resumed).unwrap_err().kind(), ErrorKind::Interrupted);

    let mut again = 0;
    let mut count = |event: &Event<'_>| again += usize::from(matches!(event, Event::TrainingAgain(_)));
    search(Keep::Best).observe(&mut count).run(&task, &resumed).unwrap();
    assert_eq!(weights(&resumed), weights(&straight));
    // What was trained again is kept.
    search(Keep::Best).observe(&mut count).run(&task, &resumed).unwrap();
    assert_eq!(again, 1);
    assert_eq!(weights(&resumed), weights(&straight));
}
