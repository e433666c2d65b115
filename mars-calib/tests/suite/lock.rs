//! The lock of a campaign, against links, deletion and whatever else may have its name.
#![cfg(unix)]

use crate::spec;
use mars_calib::{
    Campaign, Error, FakeTrainer, Flow, Observer, OnChange, Progress, RunEnd, Settings, Silent,
};
use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};
use tempfile::tempdir;

fn open(directory: &Path) -> Result<Campaign, Error> {
    Campaign::open(directory, Settings::default(), OnChange::Refuse)
}

#[test]
fn whatever_is_no_file_of_a_lock_is_refused_and_left_as_it_is() {
    let directory = tempdir().unwrap();
    let lock = directory.path().join("mars.lock");
    let precious = directory.path().join("precious");
    fs::write(&precious, "data").unwrap();
    let absent = directory.path().join("absent");
    for make in [
        &(|| symlink(&precious, &lock).unwrap()) as &dyn Fn(),
        &|| symlink(&absent, &lock).unwrap(),
        &|| symlink("mars.lock", &lock).unwrap(),
        &|| fs::create_dir(&lock).unwrap(),
        &|| assert!(Command::new("mkfifo").arg(&lock).status().unwrap().success()),
    ] {
        make();
        let error = open(directory.path()).unwrap_err();
        assert!(matches!(&error, Error::Corrupt { path, .. } if *path == lock), "{error}");
        assert!(error.to_string().contains("remove it"), "{error}");
        assert_eq!(fs::read_to_string(&precious).unwrap(), "data");
        assert!(!absent.exists());
        fs::remove_file(&lock).or_else(|_| fs::remove_dir(&lock)).unwrap();
    }
    open(directory.path()).unwrap();
}

#[test]
fn removing_the_file_of_a_lock_lets_no_second_process_in() {
    let directory = tempdir().unwrap();
    let lock = directory.path().join("mars.lock");
    let mut holder = open(directory.path()).unwrap();
    for _ in 0..2 {
        fs::remove_file(&lock).unwrap();
        assert!(matches!(open(directory.path()), Err(Error::Locked { .. })));
        assert!(matches!(Campaign::resume(directory.path()), Err(Error::Locked { .. })));
    }
    // The holder makes the file again when it goes on.
    let _ = fs::remove_file(&lock);
    holder.run(&mut FakeTrainer::default(), &[spec(4, 4, 10)], &mut Silent).unwrap();
    assert!(fs::read_to_string(&lock).unwrap().contains(&std::process::id().to_string()));
    drop(holder);
    open(directory.path()).unwrap();
}

/// Takes the lock away at a step, as a process does that cannot see the lock of the directory.
struct Thief {
    lock: PathBuf,
    at: usize,
    stolen: Option<File>,
}

impl Observer for Thief {
    fn progress(&mut self, event: &Progress) -> Flow {
        if event.step == self.at && self.stolen.is_none() {
            fs::remove_file(&self.lock).unwrap();
            let file = File::create(&self.lock).unwrap();
            file.lock().unwrap();
            self.stolen = Some(file);
        }
        Flow::Continue
    }
}

#[test]
fn a_holder_whose_lock_another_process_has_stops() {
    for at in [1, 7] {
        let directory = tempdir().unwrap();
        let mut thief = Thief { lock: directory.path().join("mars.lock"), at, stolen: None };
        let mut holder = open(directory.path()).unwrap();
        let error = holder.run(&mut FakeTrainer::default(), &[spec(4, 4, 10)], &mut thief).unwrap_err();
        assert!(matches!(error, Error::Locked { .. }), "{error}");
        assert!(Campaign::read(directory.path()).unwrap().records.is_empty());
        // Not by closing: a child process that another test is just starting has a copy of the open file.
        thief.stolen.unwrap().unlock().unwrap();
        drop(holder);
        let records =
            open(directory.path()).unwrap().run(&mut FakeTrainer::default(), &[spec(4, 4, 10)], &mut Silent);
        assert!(records.unwrap().iter().all(|record| record.end == RunEnd::Finished));
    }
}

#[test]
fn leftovers_are_removed_by_name_and_never_while_their_maker_lives() {
    let directory = tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let ours = [".tmp-1-decision.json", ".tmp-4194304-report.html", "decision.tmp-77", "fits.tmp-3"];
    let others = ["notes.tmp-1", ".tmp-draft", ".tmpA1b2C3", "data.tmp"];
    for name in ours.iter().chain(&others) {
        fs::write(at(name), "half").unwrap();
    }
    fs::create_dir(at(".tmp-8-step-2")).unwrap();
    fs::write(at(".tmp-8-step-2/state"), "half").unwrap();
    let held = File::create(at(".tmp-9-result.json")).unwrap();
    held.lock().unwrap();
    symlink(at("data.tmp"), at(".tmp-5-link")).unwrap();
    drop(open(directory.path()).unwrap());
    assert!(ours.iter().all(|name| !at(name).exists()) && !at(".tmp-8-step-2").exists());
    assert!(others.iter().all(|name| at(name).exists()));
    assert!(at(".tmp-9-result.json").exists() && at(".tmp-5-link").exists());
    held.unlock().unwrap();
    drop(open(directory.path()).unwrap());
    assert!(!at(".tmp-9-result.json").exists());
}
