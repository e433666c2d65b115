//! What a run becomes depends on neither its stack nor the parts of a pass, wherever a call was cut off: a checkpoint of one
//! run at a time is enough.

use crate::toy::{Setting, spec, timeless};
use mars_calib::{
    Checkpoint, CheckpointStore, DirectoryCheckpoints, Error, RunEnd, RunId, RunRecord, RunSpec, Silent,
    Trainer,
    checkpoint::Files,
    native::{NativeOptions, NativeTrainer},
};
use std::{collections::BTreeMap, fs, io, path::Path};

/// Checkpoints on a disk that fails at one operation: as a kill there, for what lies on it.
struct CutOff {
    kept: DirectoryCheckpoints,
    /// Savings and prunings until then.
    left: usize,
}

impl CutOff {
    fn step(&mut self) -> Result<(), Error> {
        let source = io::Error::other("cut off");
        self.left =
            self.left.checked_sub(1).ok_or(Error::Io { action: "write", path: "state".into(), source })?;
        Ok(())
    }
}

impl CheckpointStore for CutOff {
    fn save(&mut self, lineage: &RunId, step: usize, files: &Files) -> Result<(), Error> {
        self.step()?;
        self.kept.save(lineage, step, files)
    }

    fn latest_at_or_below(&self, lineage: &RunId, step: usize) -> Result<Option<Checkpoint>, Error> {
        self.kept.latest_at_or_below(lineage, step)
    }

    fn prune(&mut self, lineage: &RunId, keep: &[usize]) -> Result<(), Error> {
        self.step()?;
        self.kept.prune(lineage, keep)
    }
}

/// Ranks of several bands, two seeds, two numbers of steps.
fn specs() -> Vec<RunSpec> {
    vec![spec(4, 4, 0, 20), spec(2, 5, 1, 20), spec(1, 6, 0, 20), spec(6, 1, 0, 10)]
}

fn options(stack: usize, parts: usize) -> NativeOptions {
    NativeOptions {
        stack,
        parts,
        checkpoint_every: Some(5),
        measure_updates: true,
        ..NativeOptions::default()
    }
}

/// The records without their times, and the bits of every file of every checkpoint but for the time in its record.
type Left = (Vec<RunRecord>, BTreeMap<String, Vec<u8>>);

/// Trains to the end in `directory`, from what is there.
fn finish(setting: &Setting, directory: &Path, options: NativeOptions) -> Left {
    let store = DirectoryCheckpoints::new(directory);
    let (model, train, validation) = (&setting.model, &setting.train, &setting.validation);
    let mut trainer = NativeTrainer::new(model, train, validation, options).with_store(store.clone());
    let records = trainer.train(&specs(), &mut Silent);
    assert!(records.iter().all(|record| record.end == RunEnd::Finished), "{records:?}");
    let mut files = BTreeMap::new();
    for spec in specs() {
        let lineage = spec.lineage();
        let steps = fs::read_dir(directory.join(lineage.as_str())).unwrap().count();
        assert_eq!(steps, 1, "states of before stay");
        let Checkpoint { step, files: own } =
            store.latest_at_or_below(&lineage, spec.steps).unwrap().unwrap();
        assert_eq!(step, spec.steps);
        for (name, bytes) in own {
            let bytes = match name.as_str() {
                "record.json" => {
                    let record: RunRecord = serde_json::from_slice(&bytes).unwrap();
                    serde_json::to_vec(&timeless(record)).unwrap()
                }
                _ => bytes,
            };
            files.insert(format!("{lineage}/{name}"), bytes);
        }
    }
    (records.into_iter().map(timeless).collect(), files)
}

fn assert_same(found: &Left, expected: &Left, what: &str) {
    for (found, expected) in found.0.iter().zip(&expected.0) {
        assert_eq!(found, expected, "{what}");
    }
    for (name, bytes) in &expected.1 {
        assert!(found.1.get(name) == Some(bytes), "{name} is another, {what}");
    }
}

#[test]
fn stacks_and_parts_of_any_size_give_the_same_bits() {
    let setting = Setting::new();
    let place = || tempfile::tempdir().unwrap();
    let expected = finish(&setting, place().path(), options(1, 1));
    assert!(expected.1.len() == 8 && expected.1.values().all(|bytes| bytes.len() > 500));
    for stack in [1, 2, 3, 4] {
        for parts in [1, 2, 3, 16] {
            let found = finish(&setting, place().path(), options(stack, parts));
            assert_same(&found, &expected, &format!("stacks of {stack}, {parts} parts"));
        }
    }
}

/// Workers have the threads of the pool to share out: one to four each.
#[test]
fn workers_with_threads_of_their_own_give_the_same_bits() {
    let setting = Setting::new();
    let place = || tempfile::tempdir().unwrap();
    let expected = finish(&setting, place().path(), options(1, 1));
    for (workers, threads) in [(2, 2), (2, 8), (3, 4), (4, 1)] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        for (stack, parts) in [(1, 1), (1, 4), (2, 2)] {
            let options = NativeOptions { workers, ..options(stack, parts) };
            let found = pool.install(|| finish(&setting, place().path(), options));
            assert_same(&found, &expected, &format!("{workers} workers, {threads} threads, {parts} parts"));
        }
    }
}

#[test]
fn cut_off_between_any_checkpoints_of_a_stack_it_ends_the_same_in_any_grouping() {
    let setting = Setting::new();
    let straight = tempfile::tempdir().unwrap();
    let expected = finish(&setting, straight.path(), options(4, 1));
    let (mut between, mut whole) = (0, 0);
    // Four runs, at most four checkpoints of each, saved and pruned.
    for left in 0..=30 {
        for (first, (then, parts)) in [(4, (4, 1)), (4, (1, 2)), (4, (2, 1)), (2, (4, 3))] {
            let place = tempfile::tempdir().unwrap();
            let store = CutOff { kept: DirectoryCheckpoints::new(place.path()), left };
            let (model, train, validation) = (&setting.model, &setting.train, &setting.validation);
            let mut trainer =
                NativeTrainer::new(model, train, validation, options(first, 1)).with_store(store);
            let records = trainer.train(&specs(), &mut Silent);
            whole += usize::from(records.iter().all(|record| record.end == RunEnd::Finished));
            let latest = |spec: &RunSpec| {
                let store = DirectoryCheckpoints::new(place.path());
                store.latest_at_or_below(&spec.lineage(), spec.steps).unwrap().map(|state| state.step)
            };
            let steps: Vec<Option<usize>> = specs()[..3].iter().map(latest).collect();
            between += usize::from(steps.iter().any(|step| *step != steps[0]));
            let found = finish(&setting, place.path(), options(then, parts));
            assert_same(
                &found,
                &expected,
                &format!("cut off after {left} in stacks of {first}, then of {then}"),
            );
        }
    }
    assert!(between >= 20, "only {between} ended between the checkpoints of a stack");
    assert!(whole >= 1, "none came to its end: the points do not cover the whole");
}
