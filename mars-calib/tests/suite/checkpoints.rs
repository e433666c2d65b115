//! Checkpoints: whole or not there, the latest at or below a step, damage passed over.

use crate::spec;
use mars_calib::{
    Checkpoint, CheckpointStore, DirectoryCheckpoints, Error, MemoryCheckpoints, checkpoint::Files,
};
use std::{
    fs,
    sync::{
        Barrier,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use tempfile::tempdir;

fn files(content: &str) -> Files {
    Files::from([
        ("state.json".into(), content.into()),
        ("weights".into(), vec![0, 255, content.len() as u8]),
    ])
}

fn laws(store: &mut dyn CheckpointStore) {
    let (a, b) = (spec(8, 8, 10).lineage(), spec(8, 16, 10).lineage());
    for step in [5, 10, 100] {
        store.save(&a, step, &files(&format!("a{step}"))).unwrap();
    }
    store.save(&b, 7, &files("b7")).unwrap();
    let at = |store: &dyn CheckpointStore, step| {
        let latest = store.latest_at_or_below(&a, step).unwrap();
        assert_eq!(store.latest_step(&a, step).unwrap(), latest.as_ref().map(|latest| latest.step));
        latest
    };
    assert_eq!(at(store, 4), None);
    assert_eq!(at(store, 5), Some(Checkpoint { step: 5, files: files("a5") }));
    assert_eq!(at(store, 99), Some(Checkpoint { step: 10, files: files("a10") }));
    assert_eq!(at(store, usize::MAX), Some(Checkpoint { step: 100, files: files("a100") }));
    let more =
        Files::from([("more".to_owned(), vec![1])]).into_iter().chain(files("a100")).collect::<Files>();
    for content in [more, files("a100")] {
        store.save(&a, 100, &content).unwrap();
        assert_eq!(at(store, usize::MAX), Some(Checkpoint { step: 100, files: content }), "other files");
    }
    store.prune(&a, &[10]).unwrap();
    assert_eq!(at(store, 9), None);
    assert_eq!(at(store, 99).map(|at| at.step), Some(10));
    assert_eq!(at(store, usize::MAX).map(|at| at.step), Some(100), "a later state stays");
    store.prune(&a, &[]).unwrap();
    assert_eq!(at(store, usize::MAX), None);
    assert_eq!(store.latest_at_or_below(&b, 7).unwrap().map(|at| at.step), Some(7));
}

#[test]
fn both_stores_obey_the_same_laws() {
    laws(&mut MemoryCheckpoints::default());
    let directory = tempdir().unwrap();
    laws(&mut DirectoryCheckpoints::new(directory.path().join("made/when/needed")));
}

#[test]
fn a_damaged_state_gives_way_to_the_one_before_and_can_be_saved_again() {
    let directory = tempdir().unwrap();
    let lineage = spec(8, 8, 10).lineage();
    let place = directory.path().join(lineage.as_str()).join("step-10");
    for name in ["state.json", "weights", "manifest.json"] {
        for damage in ["cut", "flip", "gone"] {
            let mut store = DirectoryCheckpoints::new(directory.path());
            store.save(&lineage, 5, &files("a5")).unwrap();
            store.save(&lineage, 10, &files("a10")).unwrap();
            let path = place.join(name);
            let mut bytes = fs::read(&path).unwrap();
            match damage {
                "cut" => bytes.truncate(1),
                "flip" => bytes[1] ^= 1,
                _ => fs::remove_file(&path).unwrap(),
            }
            if damage != "gone" {
                fs::write(&path, bytes).unwrap();
            }
            let latest = store.latest_at_or_below(&lineage, 10).unwrap().unwrap();
            assert_eq!((latest.step, latest.files), (5, files("a5")), "{name} {damage}");
            store.save(&lineage, 10, &files("a10")).unwrap();
            assert_eq!(store.latest_at_or_below(&lineage, 10).unwrap().unwrap().step, 10);
        }
    }
}

#[test]
fn a_state_that_another_was_to_replace_is_there_until_the_other_is() {
    let directory = tempdir().unwrap();
    let lineage = spec(8, 8, 10).lineage();
    let own = directory.path().join(lineage.as_str());
    let mut store = DirectoryCheckpoints::new(directory.path());
    store.save(&lineage, 10, &files("a10")).unwrap();
    // What a kill between the two renames leaves.
    fs::rename(own.join("step-10"), own.join("step-10-before")).unwrap();
    let whole = Some(Checkpoint { step: 10, files: files("a10") });
    store.prune(&lineage, &[10]).unwrap();
    assert_eq!(store.latest_at_or_below(&lineage, 10).unwrap(), whole);
    assert_eq!(store.latest_step(&lineage, 10).unwrap(), Some(10));
    store.save(&lineage, 10, &files("a10")).unwrap();
    assert_eq!(store.latest_at_or_below(&lineage, 10).unwrap(), whole);
    store.prune(&lineage, &[10]).unwrap();
    let names = || fs::read_dir(&own).unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    assert_eq!(names(), ["step-10"]);
    store.prune(&lineage, &[]).unwrap();
    assert!(names().is_empty(), "{:?}", names());
}

/// As another process does that goes on with a lineage: whoever looks finds a whole state, and none of before it looked.
#[test]
fn a_state_is_found_while_later_ones_take_its_place() {
    const LAST: usize = 60;
    let directory = tempdir().unwrap();
    let lineage = spec(8, 8, 10).lineage();
    let saved = AtomicUsize::new(1);
    let store = DirectoryCheckpoints::new(directory.path());
    store.clone().save(&lineage, 1, &files("a1")).unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut store = store.clone();
            for step in 2..=LAST {
                store.save(&lineage, step, &files(&format!("a{step}"))).unwrap();
                saved.store(step, Ordering::SeqCst);
                store.prune(&lineage, &[step]).unwrap();
            }
        });
        while !writer.is_finished() {
            let least = saved.load(Ordering::SeqCst);
            let found = store.latest_at_or_below(&lineage, LAST).unwrap().unwrap();
            assert!(found.step >= least, "{} of {least}", found.step);
            assert_eq!(found.files, files(&format!("a{}", found.step)));
        }
    });
}

#[test]
fn a_state_is_found_while_another_of_its_step_takes_its_place() {
    let directory = tempdir().unwrap();
    let lineage = spec(8, 8, 10).lineage();
    let mut store = DirectoryCheckpoints::new(directory.path());
    let more = |name: &str| [(name.to_owned(), vec![1])].into_iter().chain(files("a")).collect::<Files>();
    let states = [more("even"), more("odd")];
    store.save(&lineage, 10, &states[0]).unwrap();
    let reader = store.clone();
    for turn in 1..=40 {
        let both = Barrier::new(2);
        thread::scope(|scope| {
            scope.spawn(|| {
                both.wait();
                store.save(&lineage, 10, &states[turn % 2]).unwrap();
            });
            both.wait();
            let found = reader.latest_at_or_below(&lineage, 10).unwrap().unwrap();
            assert!(states.contains(&found.files), "{found:?}");
        });
    }
}

/// Runs of one lineage may begin at the same time, each in another process.
#[test]
fn what_two_remove_at_once_is_removed() {
    let directory = tempdir().unwrap();
    let lineage = spec(8, 8, 10).lineage();
    let mut store = DirectoryCheckpoints::new(directory.path());
    for _ in 0..20 {
        for step in [5, 10, 15] {
            store.save(&lineage, step, &files("a")).unwrap();
        }
        let both = Barrier::new(2);
        let prune = || {
            let mut store = DirectoryCheckpoints::new(directory.path());
            both.wait();
            store.prune(&lineage, &[15]).unwrap();
        };
        thread::scope(|scope| {
            scope.spawn(prune);
            scope.spawn(prune);
        });
        assert_eq!(store.latest_step(&lineage, 14).unwrap(), None);
        assert_eq!(store.latest_step(&lineage, 15).unwrap(), Some(15));
    }
}

#[test]
fn names_with_paths_are_refused() {
    let directory = tempdir().unwrap();
    let mut store = DirectoryCheckpoints::new(directory.path());
    for name in ["../escape", "a/b", "", ".hidden", "manifest.json"] {
        let bad = Files::from([(name.to_owned(), Vec::new())]);
        let saved = store.save(&spec(8, 8, 10).lineage(), 1, &bad);
        assert!(matches!(saved, Err(Error::Corrupt { .. })), "{name}");
    }
}
