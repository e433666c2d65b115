//! Every file of a campaign cut at every byte: a clear error, or a run that is done again; never another result.
#![cfg(unix)]

use crate::spec;
use mars_calib::{
    Campaign, CommandTrainer, Error, FakeTrainer, OnChange, RunEnd, RunId, RunRecord, RunSpec, Settings,
    Silent, Trainer,
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tempfile::tempdir;
use toml::{Table, Value};

fn settings() -> Settings {
    let table = |key: &str, value: f64| Table::from_iter([(key.to_owned(), Value::from(value))]);
    let digests = |of: &str| BTreeMap::from([(of.to_owned(), "00ff".repeat(8))]);
    Settings {
        config: table("kappa", 1.25),
        plan: table("steps", 12.5),
        fingerprints: digests("model"),
        compared: digests("test"),
    }
}

fn specs() -> [RunSpec; 3] {
    [spec(8, 0, 6), spec(0, 8, 6), spec(0, 8, 12)]
}

/// The campaign in `directory` opened, done to its end, and what came of it.
fn done(directory: &Path) -> Result<BTreeMap<RunId, RunRecord>, Error> {
    let mut campaign = Campaign::open(directory, settings(), OnChange::Refuse)?;
    let mut trainer = FakeTrainer {
        checkpoints: Some(Box::new(campaign.checkpoints())),
        checkpoint_every: 4,
        ..FakeTrainer::default()
    };
    campaign.run(&mut trainer, &specs(), &mut Silent)?;
    Ok(campaign.records().clone())
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { all.extend(files(&path)) } else { all.push(path) }
    }
    all.sort();
    all
}

fn copy(from: &Path, to: &Path) {
    for file in files(from) {
        let place = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::copy(file, place).unwrap();
    }
}

/// What became of cuts.
#[derive(Debug, Default)]
struct Outcomes {
    files: usize,
    refused: usize,
    done_again: usize,
    untouched: usize,
}

fn cut(every: usize) -> Outcomes {
    let whole = tempdir().unwrap();
    let expected = done(whole.path()).unwrap();
    assert_eq!(expected.len(), 3);
    // One more has failed.
    let failed = whole.path().join("runs/00000000000000ff");
    fs::create_dir(&failed).unwrap();
    fs::write(failed.join("failure.txt"), "out of memory").unwrap();
    let mut outcomes = Outcomes::default();
    for file in files(whole.path()) {
        let name = file.strip_prefix(whole.path()).unwrap();
        let bytes = fs::read(&file).unwrap();
        outcomes.files += 1;
        // Most cuts of settings are no TOML; the others are few.
        let every = if name == Path::new("campaign.toml") { 1 } else { every };
        for length in (0..bytes.len()).step_by(every) {
            let place = tempdir().unwrap();
            copy(whole.path(), place.path());
            fs::write(place.path().join(name), &bytes[..length]).unwrap();
            let what = || format!("{} cut to {length} of {} bytes", name.display(), bytes.len());
            // Read alone, nothing is other than it was: at most it is missing.
            match Campaign::read(place.path()) {
                Ok(snapshot) => {
                    assert_eq!(snapshot.settings, settings(), "{}", what());
                    assert!(
                        snapshot.records.iter().all(|(id, record)| expected.get(id) == Some(record)),
                        "{}",
                        what()
                    );
                    assert_eq!(
                        3 - snapshot.records.len(),
                        snapshot.warnings.len(),
                        "a result is missing without a word: {}",
                        what()
                    );
                }
                Err(error) => assert!(error.to_string().contains("campaign.toml"), "{}: {error}", what()),
            }
            let damaged = Campaign::read(place.path()).map_or(0, |snapshot| snapshot.warnings.len());
            match done(place.path()) {
                Ok(records) => {
                    assert_eq!(records, expected, "{}", what());
                    if damaged > 0 { outcomes.done_again += 1 } else { outcomes.untouched += 1 }
                }
                Err(error) => {
                    assert!(error.to_string().contains("campaign.toml"), "{}: {error}", what());
                    outcomes.refused += 1;
                }
            }
        }
    }
    outcomes
}

/// What an external run has cost so far, and its losses, are files of their own: `name`, with this `content`, if it has another.
fn cut_of_a_command(name: &str, content: Option<&str>) -> usize {
    let (out, run) = (tempdir().unwrap(), spec(0, 8, 5));
    let done = "sh -c 'printf \"step,loss\\n0,3\\n5,2\\n\" > \"$0/curve.csv\"' {out}";
    let mut trainer = CommandTrainer::new(done, out.path()).unwrap();
    let path = out.path().join(run.id().as_str()).join(name);
    assert_eq!(trainer.train(std::slice::from_ref(&run), &mut Silent)[0].end, RunEnd::Finished);
    let bytes = content.map_or_else(|| fs::read(&path).unwrap(), |text| text.as_bytes().to_vec());
    for length in 0..bytes.len() {
        fs::write(&path, &bytes[..length]).unwrap();
        let record = trainer.train(std::slice::from_ref(&run), &mut Silent).remove(0);
        let refused = matches!(&record.end, RunEnd::Failed { why } if why.contains(name))
            || record.end == RunEnd::Interrupted;
        assert!(refused, "{name} cut to {length}: {} after {} s", record.end, record.wall_s);
    }
    bytes.len()
}

#[test]
fn a_cut_file_is_refused_or_its_run_is_done_again() {
    let outcomes = cut(41);
    assert!(outcomes.files >= 10, "{outcomes:?}");
    assert!(outcomes.refused > 0 && outcomes.done_again > 0 && outcomes.untouched > 0, "{outcomes:?}");
    assert_eq!(cut_of_a_command("seconds.txt", Some("1234.5678\n")), 10);
    assert!(cut_of_a_command("losses-of-all-tries.json", None) > 60);
}

#[test]
#[ignore = "takes minutes; cargo xtask reliability deep runs it"]
fn every_file_is_cut_at_every_byte() {
    let outcomes = cut(1);
    #[allow(clippy::print_stdout)]
    {
        println!("cuts: {outcomes:?}");
    }
}
