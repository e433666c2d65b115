//! Six of twenty-four runs that go wrong in as many ways leave the other eighteen as they are without them.
#![cfg(unix)]

use crate::spec;
use mars_calib::{
    Campaign, CommandOptions, CommandTrainer, OnChange, RunEnd, RunRecord, RunSpec, Settings, Silent,
    command::CommandLine,
};
use std::{collections::BTreeMap, fs, path::Path};
use tempfile::tempdir;

/// What happens to the runs of these ranks, when something shall.
const FAULTS: [(usize, &str); 6] = [
    (3, r#"printf "step,loss\n0,3\n2,nan\n" > "$1/curve.csv"; exit 0"#),
    (7, r#"printf "step,loss\n0,3\n4,inf\n" > "$1/curve.csv"; exit 0"#),
    (11, "echo \"thread 'main' panicked at train.rs\" >&2; exit 101"),
    (15, "kill -ABRT $$"),
    (19, "exec sleep 600"),
    (23, "kill -KILL $$"),
];

fn trainer(out: &Path, faults: bool) -> CommandTrainer {
    let cases: String =
        FAULTS.iter().filter(|_| faults).map(|(rank, what)| format!("{rank}) {what};; ")).collect();
    let curve = r#"awk -v r="$2" 'BEGIN { print "step,loss"; for (s = 0; s <= 5; s++) print s "," 1 + 2 * exp(-s * r / 9) }' > "$1/curve.csv""#;
    let text = format!("case $2 in {cases}esac; {curve}").replace('{', "{{").replace('}', "}}");
    let arguments = ["sh", "-c", &text, "sh", "{out}", "{r.llm}"].map(String::from).to_vec();
    let options = CommandOptions {
        template: CommandLine::Arguments(arguments),
        timeout_s: Some(3.0),
        grace_s: 0.2,
        ..CommandOptions::new("")
    };
    CommandTrainer::new(options, out).unwrap()
}

/// Records without their time, and the files of the results, by rank.
fn done(faults: bool) -> BTreeMap<usize, (RunRecord, Option<Vec<u8>>)> {
    let directory = tempdir().unwrap();
    let mut campaign = Campaign::open(directory.path(), Settings::default(), OnChange::Refuse).unwrap();
    let runs: Vec<RunSpec> = (1..=24).map(|rank| spec(0, rank, 5)).collect();
    let mut trainer = trainer(&directory.path().join("external"), faults);
    let records = campaign.run(&mut trainer, &runs, &mut Silent).unwrap();
    let stored = |record: &RunRecord| {
        fs::read(directory.path().join("runs").join(record.id.as_str()).join("curve.csv")).ok()
    };
    let timeless = |record: RunRecord| RunRecord { wall_s: 0.0, ..record };
    (1..=24).zip(records.into_iter().map(|record| (timeless(record.clone()), stored(&record)))).collect()
}

#[test]
fn six_runs_that_go_wrong_take_no_other_with_them() {
    let (with, without) = (done(true), done(false));
    for (rank, (record, curve)) in &with {
        match FAULTS.iter().position(|(faulty, _)| faulty == rank) {
            None => assert_eq!((record, curve), (&without[rank].0, &without[rank].1), "rank {rank}"),
            Some(0) => assert_eq!(record.end, RunEnd::Diverged { step: 2 }),
            Some(1) => assert_eq!(record.end, RunEnd::Diverged { step: 4 }),
            Some(at) => {
                let said = ["panicked at train.rs", "signal: 6", "longer than 3 s", "signal: 9"][at - 2];
                assert!(
                    matches!(&record.end, RunEnd::Failed { why } if why.contains(said)),
                    "rank {rank}: {}",
                    record.end
                );
            }
        }
    }
    assert!(without.values().all(|(record, curve)| record.end == RunEnd::Finished && curve.is_some()));
}
