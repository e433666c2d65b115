//! A failing disk is not a property of a run.

use crate::{full_disk::FullDisk, spec};
use mars_calib::{Campaign, Error, FakeTrainer, OnChange, RunEnd, RunSpec, Settings, Silent};
use tempfile::tempdir;

#[test]
fn a_full_disk_stops_the_campaign_at_any_checkpoint_and_the_next_call_goes_on_to_the_same_end() {
    let runs: Vec<RunSpec> = [(4, 4), (8, 4), (8, 16)].map(|(ve, llm)| spec(ve, llm, 30)).to_vec();
    let open = |directory: &std::path::Path| {
        Campaign::open(directory, Settings::default(), OnChange::Refuse).unwrap()
    };
    let straight = tempdir().unwrap();
    let expected = open(straight.path()).run(&mut FakeTrainer::default(), &runs, &mut Silent).unwrap();
    let mut stopped = 0;
    for room in 0..20 {
        let directory = tempdir().unwrap();
        let checkpoints = Some(Box::new(FullDisk::with_room_for(room)) as _);
        let mut trainer = FakeTrainer { checkpoints, ..FakeTrainer::default() };
        let result = open(directory.path()).run(&mut trainer, &runs, &mut Silent);
        let done = Campaign::read(directory.path()).unwrap().records;
        assert!(done.values().all(|record| record.end == RunEnd::Finished), "{room}: {done:?}");
        match result {
            Ok(_) => assert_eq!(done.len(), runs.len()),
            Err(error) => {
                assert!(matches!(&error, Error::Io { path, .. } if path.ends_with("state")), "{error}");
                stopped += 1;
            }
        }
        let resumed = open(directory.path()).run(&mut FakeTrainer::default(), &runs, &mut Silent).unwrap();
        for (resumed, expected) in resumed.iter().zip(&expected) {
            assert_eq!((&resumed.val, &resumed.end), (&expected.val, &expected.end), "{room}");
        }
    }
    assert!((5..20).contains(&stopped), "{stopped} of 20 disks were full");
}
