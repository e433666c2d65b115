//! What the system cannot read is neither absent nor bad content; what a newer version wrote is left alone.
#![cfg(unix)]

use crate::spec;
use mars_calib::{
    Campaign, CheckpointStore, DirectoryCheckpoints, Error, FakeTrainer, OnChange, RunEnd, Settings, Silent,
    campaign::Warning,
    checkpoint::Files,
    command::{CurveFormat, Curves},
};
use std::{fs, os::unix::fs::symlink, path::Path};
use tempfile::tempdir;

/// Puts something at `path` that no system can read, whoever asks: a link to itself.
fn unreadable(path: &Path) {
    let _ = fs::remove_file(path);
    symlink(path.file_name().unwrap(), path).unwrap();
}

fn state(content: &str) -> Files {
    Files::from([("state.json".into(), content.into())])
}

#[test]
fn a_state_that_cannot_be_read_is_no_damaged_one() {
    let lineage = spec(8, 8, 10).lineage();
    for name in ["state.json", "manifest.json"] {
        let directory = tempdir().unwrap();
        let mut store = DirectoryCheckpoints::new(directory.path());
        store.save(&lineage, 5, &state("a5")).unwrap();
        store.save(&lineage, 10, &state("a10")).unwrap();
        let path = directory.path().join(lineage.as_str()).join("step-10").join(name);
        let content = fs::read(&path).unwrap();
        unreadable(&path);
        let found = store.latest_at_or_below(&lineage, 10);
        assert!(matches!(&found, Err(Error::Io { path: of, .. }) if *of == path), "{found:?}");
        let saved = store.save(&lineage, 10, &state("a10"));
        assert!(matches!(&saved, Err(Error::Io { path: of, .. }) if *of == path), "{saved:?}");
        // Readable again, it is what it was.
        fs::remove_file(&path).unwrap();
        fs::write(&path, content).unwrap();
        assert_eq!(store.latest_at_or_below(&lineage, 10).unwrap().unwrap().files, state("a10"));
    }
}

#[test]
fn manifests_of_before_there_were_versions_are_read_and_newer_ones_refused() {
    let directory = tempdir().unwrap();
    let lineage = spec(8, 8, 10).lineage();
    let mut store = DirectoryCheckpoints::new(directory.path());
    store.save(&lineage, 5, &state("a5")).unwrap();
    store.save(&lineage, 10, &state("a10")).unwrap();
    let path = directory.path().join(lineage.as_str()).join("step-10/manifest.json");
    let written: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(written["version"], 1);
    fs::write(&path, written["files"].to_string()).unwrap();
    assert_eq!(store.latest_at_or_below(&lineage, 10).unwrap().unwrap().files, state("a10"));
    let newer = serde_json::json!({ "version": 2, "files": written["files"], "more": true }).to_string();
    fs::write(&path, &newer).unwrap();
    for refused in [store.latest_at_or_below(&lineage, 10).map(|_| ()), store.save(&lineage, 10, &state("b"))]
    {
        let Err(Error::Corrupt { path: of, why }) = refused else { panic!("{refused:?}") };
        assert!(of == path && why.contains("newer version of mars (format 2;"), "{why}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
}

fn open(directory: &Path) -> Result<Campaign, Error> {
    Campaign::open(directory, Settings::default(), OnChange::Refuse)
}

#[test]
fn results_have_a_version_and_newer_ones_are_refused_as_they_are() {
    let directory = tempdir().unwrap();
    let record = open(directory.path())
        .unwrap()
        .run(&mut FakeTrainer::default(), &[spec(4, 4, 20)], &mut Silent)
        .unwrap();
    let path = directory.path().join("runs").join(record[0].id.as_str()).join("result.json");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"version\": 1"), "{text}");
    // As version 0.1 wrote it.
    fs::write(&path, text.replace("  \"version\": 1,\n", "")).unwrap();
    assert_eq!(open(directory.path()).unwrap().records().len(), 1);
    let newer = text.replace("\"version\": 1", "\"version\": 9");
    fs::write(&path, &newer).unwrap();
    for refused in [open(directory.path()).map(|_| ()), Campaign::read(directory.path()).map(|_| ())] {
        let Err(Error::Corrupt { path: of, why }) = refused else { panic!("{refused:?}") };
        assert!(of == path && why.contains("format 9"), "{why}");
    }
    assert_eq!(fs::read_to_string(&path).unwrap(), newer);
}

#[test]
fn a_result_that_cannot_be_read_is_no_run_to_be_done_again() {
    let directory = tempdir().unwrap();
    let runs = [spec(4, 4, 20)];
    let id = open(directory.path()).unwrap().run(&mut FakeTrainer::default(), &runs, &mut Silent).unwrap()[0]
        .id
        .clone();
    let path = directory.path().join("runs").join(id.as_str()).join("result.json");
    unreadable(&path);
    let refused = open(directory.path());
    assert!(matches!(&refused, Err(Error::Io { path: of, .. }) if *of == path), "{refused:?}");
    // A folder in its place is bad content, moved out of the way.
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let campaign = open(directory.path()).unwrap();
    let [Warning::CorruptResult { moved_to: Some(to), .. }] = campaign.warnings() else {
        panic!("{campaign:?}")
    };
    assert!(to.is_dir());
}

#[test]
fn settings_that_are_no_text_are_bad_input_and_unreadable_ones_are_not() {
    for (content, bad) in
        [(Some(&b"[campaign]\nversion = \"\xff\"\n"[..]), true), (Some(b"\xfe\xff\0["), true), (None, false)]
    {
        let directory = tempdir().unwrap();
        let path = directory.path().join("campaign.toml");
        match content {
            Some(content) => fs::write(&path, content).unwrap(),
            None => unreadable(&path),
        }
        for refused in [open(directory.path()).map(|_| ()), Campaign::read(directory.path()).map(|_| ())] {
            match refused {
                Err(Error::Corrupt { path: of, why }) if bad => {
                    assert!(
                        of == path && why.contains("not UTF-8") && why.contains("restore the file"),
                        "{why}"
                    );
                }
                Err(Error::Io { path: of, .. }) if !bad => assert_eq!(of, path),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn curves_that_cannot_be_read_are_not_absent() {
    let directory = tempdir().unwrap();
    let read = || Curves::read(directory.path(), CurveFormat::Auto);
    assert!(read().unwrap().is_none());
    let later = directory.path().join("checkpoint-20");
    for folder in ["checkpoint-5", "checkpoint-20"] {
        fs::create_dir(directory.path().join(folder)).unwrap();
        let state = r#"{"log_history": [{"step": 5, "eval_loss": 2.0}]}"#;
        fs::write(directory.path().join(folder).join("trainer_state.json"), state).unwrap();
    }
    assert!(read().unwrap().is_some());
    // Else the curve of step 5 would be that of the whole run.
    for name in ["checkpoint-20/trainer_state.json", "trainer_state.json"] {
        unreadable(&directory.path().join(name));
        let refused = read();
        assert!(matches!(&refused, Err(Error::Io { path, .. }) if path.ends_with(name)), "{refused:?}");
    }
    fs::remove_file(directory.path().join("trainer_state.json")).unwrap();
    fs::remove_dir_all(later).unwrap();
    assert!(read().unwrap().is_some());
    fs::write(directory.path().join("trainer_state.json"), b"{\"log_history\": \"\xff\"}").unwrap();
    assert!(matches!(read(), Err(Error::Corrupt { .. })));
}

#[test]
fn a_lock_that_cannot_be_looked_at_is_not_taken() {
    let directory = tempdir().unwrap();
    let campaign = directory.path().join("campaign");
    let mut held = open(&campaign).unwrap();
    fs::rename(&campaign, directory.path().join("aside")).unwrap();
    unreadable(&campaign);
    assert!(matches!(open(&campaign), Err(Error::Io { .. })));
    // Nor does its holder take it for one that another process has.
    let refused = held.run(&mut FakeTrainer::default(), &[spec(4, 4, 20)], &mut Silent);
    assert!(matches!(&refused, Err(Error::Io { .. })), "{refused:?}");
    fs::remove_file(&campaign).unwrap();
    fs::rename(directory.path().join("aside"), &campaign).unwrap();
    let records = held.run(&mut FakeTrainer::default(), &[spec(4, 4, 20)], &mut Silent).unwrap();
    assert_eq!(records[0].end, RunEnd::Finished);
}
