//! The ledger: what is stored comes back bit by bit, what is damaged is noticed, one process at a time.

use crate::spec;
use mars_calib::{
    Campaign, Error, FakeTrainer, Flow, Observer, OnChange, Progress, RunEnd, RunRecord, RunSpec, Settings,
    Silent, Trainer, campaign::Warning, fake::Fault,
};
use mars_laws::Ranks;
use std::{collections::BTreeMap, fs, path::Path};
use tempfile::tempdir;

fn open(directory: &Path) -> Campaign {
    Campaign::open(directory, Settings::default(), OnChange::Refuse).unwrap()
}

/// Counts what reaches the trainer.
struct Counting(FakeTrainer, usize);

impl Trainer for Counting {
    fn train(&mut self, runs: &[RunSpec], observe: &mut dyn Observer) -> Vec<RunRecord> {
        self.1 += runs.len();
        self.0.train(runs, observe)
    }
}

fn faulty() -> FakeTrainer {
    let mut trainer = FakeTrainer::default();
    trainer.faults.insert(Ranks::new().with("llm", 4), Fault::Diverge(9));
    trainer.faults.insert(Ranks::new().with("llm", 2), Fault::Fail("no such file".into()));
    trainer
}

#[test]
fn results_with_nan_come_back_bit_by_bit_and_are_not_done_again() {
    let directory = tempdir().unwrap();
    let specs = [spec(8, 8, 30), spec(0, 4, 30), spec(8, 0, 30)];
    let mut trainer = Counting(faulty(), 0);
    let first = open(directory.path()).run(&mut trainer, &specs, &mut Silent).unwrap();
    assert_eq!(first[1].end, RunEnd::Diverged { step: 9 });
    assert!(first[1].val.last().unwrap().loss.is_nan());
    assert_eq!(trainer.1, 3);

    let mut campaign = open(directory.path());
    assert_eq!(campaign.records().len(), 3);
    let again = campaign.run(&mut trainer, &specs, &mut Silent).unwrap();
    assert_eq!(trainer.1, 3);
    let bits = |records: &[RunRecord]| -> Vec<Vec<(usize, u64)>> {
        records.iter().map(|r| r.val.iter().map(|p| (p.step, p.loss.to_bits())).collect()).collect()
    };
    assert_eq!(bits(&first), bits(&again));
    let curve = fs::read_to_string(directory.path().join(format!("runs/{}/curve.csv", first[1].id))).unwrap();
    assert!(curve.contains("9,NaN,val"), "{curve}");
}

#[test]
fn failed_and_interrupted_runs_are_tried_again() {
    let directory = tempdir().unwrap();
    let mut trainer = Counting(faulty(), 0);
    let specs = [spec(0, 2, 30), spec(0, 8, 30)];
    let records = open(directory.path()).run(&mut trainer, &specs, &mut Silent).unwrap();
    assert_eq!(records[0].end, RunEnd::Failed { why: "no such file".into() });
    let kept = directory.path().join(format!("runs/{}/failure.txt", records[0].id));
    assert_eq!(fs::read_to_string(kept).unwrap(), "no such file");
    trainer.0.faults.clear();
    let records = open(directory.path()).run(&mut trainer, &specs, &mut Silent).unwrap();
    assert_eq!((records[0].end.clone(), trainer.1), (RunEnd::Finished, 3));

    struct StopAt(usize);
    impl Observer for StopAt {
        fn progress(&mut self, event: &Progress) -> Flow {
            if event.step >= self.0 { Flow::Stop } else { Flow::Continue }
        }
    }
    let directory = tempdir().unwrap();
    let mut campaign = open(directory.path());
    let mut resumable =
        FakeTrainer { checkpoints: Some(Box::new(campaign.checkpoints())), ..FakeTrainer::default() };
    let stopped = campaign.run(&mut resumable, &specs, &mut StopAt(13)).unwrap();
    assert!(stopped.iter().all(|record| record.end == RunEnd::Interrupted));
    assert!(campaign.records().is_empty());
    let resumed = campaign.run(&mut resumable, &specs, &mut Silent).unwrap();
    let straight = FakeTrainer::default()
        .train(&specs.iter().map(|s| campaign.bind(s)).collect::<Vec<_>>(), &mut Silent);
    assert_eq!(resumed, straight);
}

#[test]
fn the_same_run_asked_for_twice_is_done_once() {
    let directory = tempdir().unwrap();
    let mut trainer = Counting(FakeTrainer::default(), 0);
    let twice = [spec(8, 8, 20), spec(4, 4, 20), spec(8, 8, 20)];
    let records = open(directory.path()).run(&mut trainer, &twice, &mut Silent).unwrap();
    assert_eq!(trainer.1, 2);
    assert_eq!(records[0], records[2]);
}

#[test]
fn a_bad_spec_stops_the_campaign_before_anything_runs() {
    let directory = tempdir().unwrap();
    let mut trainer = Counting(FakeTrainer::default(), 0);
    let specs = [spec(8, 8, 20), RunSpec { batch: 0, ..spec(8, 8, 20) }];
    let error = open(directory.path()).run(&mut trainer, &specs, &mut Silent).unwrap_err();
    assert!(matches!(error, Error::Spec { field: "batch", .. }));
    assert_eq!(trainer.1, 0);
}

#[test]
fn a_trainer_that_forgets_a_run_does_not_make_it_done() {
    struct Lazy;
    impl Trainer for Lazy {
        fn train(&mut self, _: &[RunSpec], _: &mut dyn Observer) -> Vec<RunRecord> {
            Vec::new()
        }
    }
    let directory = tempdir().unwrap();
    let records = open(directory.path()).run(&mut Lazy, &[spec(8, 8, 20)], &mut Silent).unwrap();
    assert!(matches!(&records[0].end, RunEnd::Failed { why } if why.contains("no record")));
}

#[test]
fn a_damaged_result_is_noticed_kept_aside_and_done_again() {
    let specs = [spec(8, 8, 20), spec(0, 8, 20)];
    for cut in [true, false] {
        let directory = tempdir().unwrap();
        let clean = open(directory.path()).run(&mut FakeTrainer::default(), &specs, &mut Silent).unwrap();
        let path = directory.path().join(format!("runs/{}/result.json", clean[0].id));
        let mut bytes = fs::read(&path).unwrap();
        if cut {
            bytes.truncate(bytes.len() / 2);
        } else {
            // one digit of one loss: still JSON, still a record
            let at = String::from_utf8_lossy(&bytes).find("\"loss\": 2.").unwrap() + 11;
            bytes[at] = if bytes[at] == b'5' { b'6' } else { b'5' };
        }
        fs::write(&path, &bytes).unwrap();

        let looked = Campaign::read(directory.path()).unwrap();
        assert_eq!((looked.records.len(), looked.warnings.len()), (1, 1));
        assert!(path.exists(), "looking changes nothing");

        let mut campaign = open(directory.path());
        let [Warning::CorruptResult { moved_to: Some(aside), .. }] = campaign.warnings() else {
            unreachable!("{:?}", campaign.warnings())
        };
        assert_eq!(fs::read(aside).unwrap(), bytes);
        let mut trainer = Counting(FakeTrainer::default(), 0);
        assert_eq!(campaign.run(&mut trainer, &specs, &mut Silent).unwrap(), clean);
        assert_eq!(trainer.1, 1);
    }
}

#[test]
fn the_result_of_another_run_is_not_taken_for_this_one() {
    let directory = tempdir().unwrap();
    let specs = [spec(8, 8, 20), spec(0, 8, 20)];
    let records = open(directory.path()).run(&mut FakeTrainer::default(), &specs, &mut Silent).unwrap();
    let path = |record: &RunRecord| directory.path().join(format!("runs/{}/result.json", record.id));
    fs::copy(path(&records[0]), path(&records[1])).unwrap();
    assert_eq!(open(directory.path()).records().len(), 1);
}

#[test]
fn leftovers_of_a_killed_process_are_removed() {
    let directory = tempdir().unwrap();
    let record =
        &open(directory.path()).run(&mut FakeTrainer::default(), &[spec(8, 8, 20)], &mut Silent).unwrap()[0];
    let stale = [
        directory.path().join(".tmp-1-campaign.toml"),
        directory.path().join(format!("runs/{}/.tmp-1-result.json", record.id)),
        directory.path().join(format!("checkpoints/{}/.tmp-1-step-5", record.spec.lineage())),
    ];
    for path in &stale {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "half").unwrap();
    }
    drop(open(directory.path()));
    assert!(stale.iter().all(|path| !path.exists()));
}

#[test]
fn a_second_opener_is_refused_with_the_holder_named() {
    let directory = tempdir().unwrap();
    let first = open(directory.path());
    let error = Campaign::open(directory.path(), Settings::default(), OnChange::Refuse).unwrap_err();
    let Error::Locked { holder, .. } = &error else { unreachable!("{error}") };
    assert!(holder.contains(&std::process::id().to_string()), "{holder}");
    assert!(matches!(Campaign::resume(directory.path()), Err(Error::Locked { .. })));
    assert!(Campaign::read(directory.path()).is_ok(), "looking needs no lock");
    drop(first);
    assert!(Campaign::resume(directory.path()).is_ok());
}

#[test]
fn other_settings_are_refused_with_what_differs() {
    let directory = tempdir().unwrap();
    let settings = |rate: f64, model: &str| Settings {
        config: toml::Table::from_iter([(
            "train".into(),
            toml::Value::Table(toml::Table::from_iter([("learning_rate".into(), toml::Value::Float(rate))])),
        )]),
        fingerprints: BTreeMap::from([("model".into(), model.into())]),
        plan: toml::Table::from_iter([("rate_again".into(), toml::Value::Float(rate))]),
        compared: BTreeMap::new(),
    };
    let replanned = Settings { plan: toml::Table::new(), ..settings(1e-3, "aa") };
    drop(Campaign::open(directory.path(), settings(1e-3, "aa"), OnChange::Refuse).unwrap());
    assert!(Campaign::open(directory.path(), replanned.clone(), OnChange::Refuse).is_ok());
    assert_eq!(Campaign::read(directory.path()).unwrap().settings, replanned);
    let error =
        Campaign::open(directory.path(), settings(2e-3, "bb"), OnChange::Refuse).unwrap_err().to_string();
    for part in ["train.learning_rate: 0.001 -> 0.002", "fingerprint of model: aa -> bb"] {
        assert!(error.contains(part), "{error}");
    }
    let accepted = Campaign::open(directory.path(), settings(2e-3, "bb"), OnChange::Accept).unwrap();
    assert_eq!(accepted.settings(), &settings(2e-3, "bb"));
    drop(accepted);
    assert_eq!(Campaign::resume(directory.path()).unwrap().settings(), &settings(2e-3, "bb"));
    assert_ne!(settings(1e-3, "aa").fingerprint(), settings(1e-3, "bb").fingerprint());
}

/// What no run depends on is compared all the same, but for campaigns of before it was kept.
#[test]
fn other_test_data_are_noticed_and_leave_the_runs() {
    let directory = tempdir().unwrap();
    let settings = |test: Option<&str>| Settings {
        compared: test.map(|test| ("test".to_owned(), test.to_owned())).into_iter().collect(),
        ..Settings::default()
    };
    let open =
        |test, change| Campaign::open(directory.path(), settings(test), change).map(|c| c.settings().clone());
    assert!(open(None, OnChange::Refuse).is_ok() && open(Some("aa"), OnChange::Refuse).is_ok());
    let error = open(Some("bb"), OnChange::Refuse).unwrap_err().to_string();
    assert!(error.contains("fingerprint of test: aa -> bb"), "{error}");
    assert_eq!(open(Some("bb"), OnChange::Accept).unwrap(), settings(Some("bb")));
    assert!(open(Some("bb"), OnChange::Refuse).is_ok());
    assert_eq!(settings(Some("aa")).fingerprint(), settings(Some("bb")).fingerprint());
}

#[test]
fn runs_on_other_data_have_other_ids() {
    let settings = |data: &str| Settings {
        fingerprints: BTreeMap::from([("data".into(), data.into())]),
        ..Settings::default()
    };
    let (a, b) = (tempdir().unwrap(), tempdir().unwrap());
    let a = Campaign::open(a.path(), settings("a"), OnChange::Refuse).unwrap();
    let b = Campaign::open(b.path(), settings("b"), OnChange::Refuse).unwrap();
    assert_ne!(a.bind(&spec(8, 8, 20)).id(), b.bind(&spec(8, 8, 20)).id());
}

#[test]
fn no_campaign_and_a_broken_one_say_so() {
    let directory = tempdir().unwrap();
    let error = Campaign::read(directory.path()).unwrap_err().to_string();
    assert!(error.contains("no campaign here"), "{error}");
    for text in ["not = [toml", "[config]\n", "[config]\n[fingerprints]\nmodel = 3\n"] {
        fs::write(directory.path().join("campaign.toml"), text).unwrap();
        assert!(matches!(Campaign::resume(directory.path()), Err(Error::Corrupt { .. })), "{text}");
        assert!(matches!(
            Campaign::open(directory.path(), Settings::default(), OnChange::Refuse),
            Err(Error::Corrupt { .. })
        ));
    }
}

#[test]
fn a_result_that_cannot_be_stored_stops_the_trainer() {
    let directory = tempdir().unwrap();
    let mut campaign = open(directory.path());
    fs::write(directory.path().join("runs"), "in the way").unwrap();
    let specs = [spec(8, 8, 20), spec(0, 8, 20)];
    struct Finished(usize);
    impl Observer for Finished {
        fn progress(&mut self, _: &Progress) -> Flow {
            Flow::Continue
        }
        fn finished(&mut self, _: &RunRecord) -> Flow {
            self.0 += 1;
            Flow::Continue
        }
    }
    let mut finished = Finished(0);
    let error = campaign.run(&mut FakeTrainer::default(), &specs, &mut finished).unwrap_err();
    assert!(matches!(error, Error::Io { .. }), "{error}");
    assert_eq!(finished.0, 0);
}
