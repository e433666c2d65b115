//! What is under way and what has failed, told from the directory while it is worked on.

use crate::spec;
use mars_calib::{
    Campaign, FakeTrainer, OnChange, RunSpec, Settings, Silent,
    campaign::{Begun, Claimed, Pace},
    fake::Fault,
};
use std::{
    fs,
    path::Path,
    process,
    time::{Duration, SystemTime},
};
use tempfile::tempdir;

fn runs() -> Vec<RunSpec> {
    vec![spec(4, 4, 20), spec(8, 8, 20)]
}

fn claim(campaign: &mut Campaign) -> Claimed {
    campaign.claim(&runs(), 2, Pace::default(), &|| false).unwrap()
}

fn share(directory: &Path) -> Campaign {
    Campaign::share(directory, Settings::default(), OnChange::Refuse).unwrap()
}

#[test]
fn held_failed_and_done_runs_are_told_apart() {
    let directory = tempdir().unwrap();
    let place = directory.path();
    assert!(Campaign::begun(place).unwrap().is_empty() && Campaign::last_holder(place).is_none());
    let mut campaign = share(place);
    assert_eq!(claim(&mut campaign), Claimed::Runs(vec![0, 1]));
    let held = Campaign::begun(place).unwrap();
    assert_eq!(held.len(), 2);
    for begun in held.values() {
        let Begun::Held(holder) = begun else { panic!("{begun:?}") };
        assert!(holder.name.contains(&process::id().to_string()) && holder.name.contains(&holder.host));
        assert!(holder.silence.unwrap() < Duration::from_secs(60) && !holder.gone);
    }
    let holder = Campaign::last_holder(place).unwrap();
    assert!(holder.name.contains(&process::id().to_string()) && !holder.gone);

    let mut trainer = FakeTrainer::default();
    trainer.faults.insert(runs()[1].ranks.clone(), Fault::Fail("no room on the device".into()));
    campaign.run(&mut trainer, &runs(), &mut Silent).unwrap();
    let begun = Campaign::begun(place).unwrap();
    let failed = begun.get(&campaign.bind(&runs()[1]).id()).unwrap();
    assert_eq!(*failed, Begun::Failed { why: "no room on the device".into() });
    assert_eq!(begun.len(), 1, "a run with a result is not among them");
    assert!(Campaign::last_change(place).unwrap() < Duration::from_secs(60));
}

/// A process that has a campaign for itself holds no claims, and tries again what has failed before it came.
#[test]
fn a_process_that_has_the_campaign_for_itself_is_known_while_it_has() {
    let directory = tempdir().unwrap();
    let place = directory.path();
    let exclusive = || Campaign::exclusive_holder(place).unwrap();
    assert_eq!(exclusive(), None);
    let mut shared = share(place);
    assert_eq!(exclusive(), None, "a shared campaign without claims");
    claim(&mut shared);
    assert_eq!(exclusive(), None, "a shared campaign");
    let mut trainer = FakeTrainer::default();
    trainer.faults.insert(runs()[1].ranks.clone(), Fault::Fail("no room on the device".into()));
    shared.run(&mut trainer, &runs(), &mut Silent).unwrap();
    drop(shared);
    assert_eq!((exclusive(), Campaign::begun(place).unwrap().len()), (None, 1));

    let failure = place.join(format!("runs/{}/failure.txt", Campaign::bind(&share(place), &runs()[1]).id()));
    let long_ago = SystemTime::now() - Duration::from_secs(60);
    fs::File::options().write(true).open(&failure).unwrap().set_modified(long_ago).unwrap();
    let mut alone = Campaign::open(place, Settings::default(), OnChange::Refuse).unwrap();
    let holder = exclusive().unwrap();
    assert!(holder.name.contains(&process::id().to_string()) && !holder.gone, "{holder:?}");
    assert_eq!(exclusive(), Some(holder), "looking takes nothing away");
    assert!(Campaign::begun(place).unwrap().is_empty(), "what failed before is tried again");
    alone.run(&mut trainer, &runs(), &mut Silent).unwrap();
    assert!(matches!(Campaign::begun(place).unwrap().values().next(), Some(Begun::Failed { .. })));
    drop(alone);
    assert_eq!(exclusive(), None);
    Campaign::open(place, Settings::default(), OnChange::Refuse).unwrap();
}

/// Whoever looks must not be stopped by files that are just being written, or are none of ours.
#[test]
fn odd_files_are_passed_over() {
    let directory = tempdir().unwrap();
    let place = directory.path();
    let mut campaign = share(place);
    claim(&mut campaign);
    let id = campaign.bind(&runs()[0]).id();
    fs::write(place.join(format!("claims/{id}.7")), "{\"state\":").unwrap();
    fs::write(place.join("claims/other"), "x").unwrap();
    fs::create_dir_all(place.join(format!("runs/{id}"))).unwrap();
    fs::write(place.join(format!("runs/{id}/failure.txt")), [0xff, 0xfe]).unwrap();
    fs::create_dir(place.join("runs/other")).unwrap();
    fs::write(place.join("mars.lock"), "nonsense").unwrap();
    let begun = Campaign::begun(place).unwrap();
    assert!(
        matches!(begun.get(&id), Some(Begun::Held(holder)) if holder.name == "another process"),
        "{begun:?}"
    );
    assert!(Campaign::last_holder(place).is_none());
    // The claim that cannot be read is over; what is left of the last try is a failure.
    drop(campaign);
    fs::remove_file(place.join(format!("claims/{id}.7"))).unwrap();
    assert!(matches!(Campaign::begun(place).unwrap().get(&id), Some(Begun::Failed { .. })));
}

#[cfg(target_os = "linux")]
#[test]
fn a_holder_that_has_ended_is_known_on_its_own_machine_only() {
    let directory = tempdir().unwrap();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let ended =
        process::Command::new("true").spawn().and_then(|mut child| child.wait().map(|_| child.id())).unwrap();
    for (host, gone) in [(host.trim(), true), ("elsewhere", false)] {
        fs::write(directory.path().join("mars.lock"), format!("process {ended} on {host}")).unwrap();
        let holder = Campaign::last_holder(directory.path()).unwrap();
        assert_eq!((holder.gone, holder.host.as_str()), (gone, host));
    }
}
