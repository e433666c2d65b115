//! Several processes on one campaign: every run once, whoever is stopped or killed, and whatever the clocks say.
#![cfg(unix)]

use crate::spec;
use mars_calib::{
    Campaign, Error, FakeTrainer, Flow, Observer, OnChange, Progress, RunEnd, RunSpec, Settings, Silent,
    campaign::{Claimed, Pace},
    fake::Fault,
};
use mars_laws::Ranks;
use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant, SystemTime},
};
use tempfile::{TempDir, tempdir};

const PACE: Pace = Pace { beat: Duration::from_millis(40), patience: Duration::from_millis(1500) };
const AGES: &str = "3600000";

/// Starts the example beside this test's own binary; `more` are microseconds a step, runs at once, beat, patience.
fn start(directory: &Path, name: &str, more: [&str; 4]) -> Child {
    let own = std::env::current_exe().unwrap();
    let example = own.parent().and_then(Path::parent).unwrap().join("examples/share");
    assert!(example.is_file(), "{} is missing: run the tests with examples built", example.display());
    let log = log(directory, name);
    Command::new(example).arg(directory).arg(log).args(more).stderr(Stdio::null()).spawn().unwrap()
}

fn log(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("log-{name}"))
}

fn lines(directory: &Path, name: &str, first: &str) -> Vec<String> {
    let text = fs::read_to_string(log(directory, name)).unwrap_or_default();
    text.lines().filter_map(|line| line.strip_prefix(first)).map(str::to_owned).collect()
}

fn results(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let runs = fs::read_dir(directory.join("runs")).unwrap().map(|run| run.unwrap());
    runs.filter_map(|run| {
        let result = fs::read(run.path().join("result.json")).ok()?;
        Some((run.file_name().into_string().unwrap(), result))
    })
    .collect()
}

fn alone() -> BTreeMap<String, Vec<u8>> {
    let directory = tempdir().unwrap();
    assert!(start(directory.path(), "alone", ["0", "100", "40", AGES]).wait().unwrap().success());
    results(directory.path())
}

fn until(what: impl Fn() -> bool) {
    let timer = Instant::now();
    while !what() {
        assert!(timer.elapsed() < Duration::from_secs(30));
        thread::sleep(Duration::from_millis(5));
    }
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

#[test]
fn processes_share_the_runs_and_repeat_none() {
    let directory = tempdir().unwrap();
    let names = ["a", "b", "c"];
    let children = names.map(|name| start(directory.path(), name, ["3000", "1", "40", AGES]));
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let mut done: Vec<String> =
        names.iter().flat_map(|name| lines(directory.path(), name, "done ")).collect();
    done.sort();
    assert!(names.iter().all(|name| !lines(directory.path(), name, "done ").is_empty()));
    assert_eq!(results(directory.path()), alone());
    assert_eq!(done, results(directory.path()).into_keys().collect::<Vec<_>>());
    // And every step of every run was taken once.
    let steps = names.iter().map(|name| lines(directory.path(), name, "step ").len()).sum::<usize>();
    let single = tempdir().unwrap();
    assert!(start(single.path(), "alone", ["0", "1", "40", AGES]).wait().unwrap().success());
    assert_eq!(steps, lines(single.path(), "alone", "step ").len());
    assert_eq!(fs::read_dir(directory.path().join("claims")).unwrap().count(), 0);
}

#[test]
fn a_process_that_stands_still_is_replaced_and_stops_when_it_wakes() {
    let directory = tempdir().unwrap();
    let mut stopped = start(directory.path(), "stopped", ["5000", "100", "40", "1500"]);
    until(|| !lines(directory.path(), "stopped", "step ").is_empty());
    signal(&stopped, "-STOP");
    let before = lines(directory.path(), "stopped", "done ");
    let timer = Instant::now();
    assert!(start(directory.path(), "other", ["0", "1", "40", "1500"]).wait().unwrap().success());
    assert!(timer.elapsed() >= Duration::from_millis(1500), "{:?}", timer.elapsed());
    let stored = results(directory.path());
    assert_eq!(stored, alone());
    signal(&stopped, "-CONT");
    assert_eq!(stopped.wait().unwrap().code(), Some(1));
    assert_eq!(results(directory.path()), stored);
    let after = lines(directory.path(), "stopped", "done ");
    assert_eq!(before, after);
    assert_eq!(after.len() + lines(directory.path(), "other", "done ").len(), 12);
}

#[test]
fn where_nothing_is_left_a_process_ends_at_once_with_75() {
    let directory = tempdir().unwrap();
    let mut holder = start(directory.path(), "holder", ["30000", "100", "40", AGES]);
    until(|| !lines(directory.path(), "holder", "step ").is_empty());
    let other = start(directory.path(), "other", ["0", "1", "40", AGES]).wait().unwrap();
    assert_eq!(other.code(), Some(75));
    assert!(lines(directory.path(), "other", "done ").is_empty());
    let open = Campaign::open(directory.path(), Settings::default(), OnChange::Refuse);
    assert!(
        matches!(open, Err(Error::Locked { holder: name, .. }) if name.contains(&holder.id().to_string()))
    );
    assert!(holder.wait().unwrap().success());
    assert_eq!(results(directory.path()), alone());
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_process_of_this_machine_is_replaced_without_waiting() {
    let directory = tempdir().unwrap();
    let mut killed = start(directory.path(), "killed", ["5000", "3", "40", AGES]);
    until(|| !lines(directory.path(), "killed", "step ").is_empty());
    killed.kill().unwrap();
    killed.wait().unwrap();
    let before = lines(directory.path(), "killed", "done ").len();
    assert!(start(directory.path(), "other", ["0", "1", "40", AGES]).wait().unwrap().success());
    assert_eq!(before + lines(directory.path(), "other", "done ").len(), 12);
    assert_eq!(results(directory.path()), alone());
}

fn share(directory: &TempDir) -> Campaign {
    Campaign::share(directory.path(), Settings::default(), OnChange::Refuse).unwrap()
}

fn claim(campaign: &mut Campaign, specs: &[RunSpec]) -> Claimed {
    campaign.claim(specs, 1, PACE, &|| false).unwrap()
}

#[test]
fn no_clock_of_files_makes_a_living_holder_dead() {
    let directory = tempdir().unwrap();
    let specs = [spec(4, 4, 10)];
    let (mut holder, mut other) = (share(&directory), share(&directory));
    assert_eq!(claim(&mut holder, &specs), Claimed::Runs(vec![0]));
    for time in [SystemTime::UNIX_EPOCH, SystemTime::now() + Duration::from_secs(1_000_000)] {
        for file in fs::read_dir(directory.path().join("claims")).unwrap() {
            File::options().write(true).open(file.unwrap().path()).unwrap().set_modified(time).unwrap();
        }
        assert!(matches!(claim(&mut other, &specs), Claimed::Elsewhere(_)));
    }
    // Given up, it is free at once.
    drop(holder);
    assert_eq!(claim(&mut other, &specs), Claimed::Runs(vec![0]));
}

#[test]
fn a_failed_run_is_tried_again_by_those_who_come_later_only() {
    let directory = tempdir().unwrap();
    let specs = [spec(0, 2, 10)];
    let mut faulty = FakeTrainer::default();
    faulty.faults.insert(Ranks::new().with("llm", 2), Fault::Fail("no such file".into()));
    let (mut first, mut second) = (share(&directory), share(&directory));
    assert_eq!(claim(&mut first, &specs), Claimed::Runs(vec![0]));
    let records = first.run(&mut faulty, &specs, &mut Silent).unwrap();
    assert!(matches!(records[0].end, RunEnd::Failed { .. }));
    assert_eq!(claim(&mut first, &specs), Claimed::AllDone);
    assert_eq!(claim(&mut second, &specs), Claimed::AllDone);
    assert_eq!(claim(&mut share(&directory), &specs), Claimed::Runs(vec![0]));
}

/// What a process knows of does not change: only what others have finished since is read. Later damage is none of its concern,
/// and a damaged result that it does not know of counts as none.
#[test]
fn a_result_is_read_once() {
    let directory = tempdir().unwrap();
    let specs = [spec(4, 4, 10), spec(4, 8, 10), spec(8, 4, 10)];
    let (mut first, mut second) = (share(&directory), share(&directory));
    let place = |at: usize| {
        let id = share(&directory).bind(&specs[at]).id();
        directory.path().join("runs").join(id.as_str()).join("result.json")
    };
    let mut trainer = FakeTrainer::default();
    second.run(&mut trainer, &specs[..1], &mut Silent).unwrap();
    assert_eq!(claim(&mut first, &specs[..1]), Claimed::AllDone);
    let path = place(0);
    // Reading it would be an error.
    fs::write(&path, r#"{"version": 1000000}"#).unwrap();
    assert_eq!(claim(&mut first, &specs[..2]), Claimed::Runs(vec![1]));
    assert!(Campaign::share(directory.path(), Settings::default(), OnChange::Refuse).is_err());
    assert_eq!(first.records().len(), 1);
    fs::remove_file(path).unwrap();
    second.run(&mut trainer, &specs[2..], &mut Silent).unwrap();
    let path = place(2);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    assert_eq!(claim(&mut first, &specs[2..]), Claimed::Runs(vec![0]));
    fs::write(&path, whole).unwrap();
    assert_eq!(claim(&mut first, &specs[2..]), Claimed::AllDone);
}

#[test]
fn one_process_has_the_campaign_for_itself_or_several_share_it() {
    let directory = tempdir().unwrap();
    let specs = [spec(4, 4, 10)];
    let mut shared = share(&directory);
    let whole = Campaign::open(directory.path(), Settings::default(), OnChange::Refuse).unwrap();
    let refused = shared.claim(&specs, 1, PACE, &|| false);
    assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
    drop(whole);
    assert_eq!(claim(&mut shared, &specs), Claimed::Runs(vec![0]));
}

/// Until it has seen a heartbeat, a process that wants the campaign for itself has its lock.
#[test]
fn one_that_is_refused_the_campaign_stops_no_other_between_two_runs() {
    let directory = tempdir().unwrap();
    let specs = [spec(4, 4, 10), spec(4, 8, 10)];
    let next = |campaign: &mut Campaign| campaign.claim(&specs, 1, Pace::default(), &|| false).unwrap();
    let (mut holder, mut other) = (share(&directory), share(&directory));
    assert_eq!(next(&mut holder), Claimed::Runs(vec![0]));
    let place = directory.path().to_owned();
    let alone =
        thread::spawn(move || Campaign::open(&place, Settings::default(), OnChange::Refuse).map(drop));
    thread::sleep(Duration::from_millis(200));
    assert_eq!(next(&mut other), Claimed::Runs(vec![1]));
    let refused = alone.join().unwrap();
    assert!(matches!(refused, Err(Error::Locked { .. })), "{refused:?}");
}

/// Gives a claim to another process at a step.
struct TakenOver {
    next: PathBuf,
    at: usize,
}

impl Observer for TakenOver {
    fn progress(&mut self, event: &Progress) -> Flow {
        if event.step == self.at {
            fs::write(&self.next, "").unwrap();
        }
        Flow::Continue
    }
}

/// Of several runs that one process trains, others may take over some.
#[test]
fn a_run_that_is_still_ones_own_is_stored_whoever_has_another() {
    let specs = [spec(4, 4, 10), spec(4, 8, 10)];
    let directory = tempdir().unwrap();
    let mut campaign = share(&directory);
    assert_eq!(campaign.claim(&specs, 2, PACE, &|| false).unwrap(), Claimed::Runs(vec![0, 1]));
    let [own, lost] = specs.each_ref().map(|spec| campaign.bind(spec).id());
    let next = directory.path().join("claims").join(format!("{lost}.2"));
    let ended = campaign.run(&mut FakeTrainer::default(), &specs, &mut TakenOver { next, at: 10 });
    assert!(matches!(ended, Err(Error::Locked { .. })), "{ended:?}");
    let stored: Vec<_> = Campaign::read(directory.path()).unwrap().records.into_keys().collect();
    assert_eq!(stored, [own]);
}

/// A search that has the campaign for itself removes claims that were silent for long; those who come later begin at the same
/// names, and the first holder may be suspended, not dead.
#[test]
fn a_claim_made_anew_under_the_name_of_a_removed_one_is_not_its_holders() {
    let claims = |directory: &TempDir| -> Vec<PathBuf> {
        fs::read_dir(directory.path().join("claims")).unwrap().map(|claim| claim.unwrap().path()).collect()
    };
    let specs = [spec(4, 4, 10)];
    for second_is_done in [false, true] {
        let directory = tempdir().unwrap();
        let (mut first, mut second) = (share(&directory), share(&directory));
        assert_eq!(claim(&mut first, &specs), Claimed::Runs(vec![0]));
        let names = claims(&directory);
        names.iter().for_each(|name| fs::remove_file(name).unwrap());
        assert_eq!(claim(&mut second, &specs), Claimed::Runs(vec![0]));
        assert_eq!(claims(&directory), names);
        if second_is_done {
            second.run(&mut FakeTrainer::default(), &specs, &mut Silent).unwrap();
        }
        let woken = first.run(&mut FakeTrainer::default(), &specs, &mut Silent);
        assert!(matches!(woken, Err(Error::Locked { .. })), "{woken:?}");
        drop(first);
        // Whatever the first has done, the second holds its run.
        let records = second.run(&mut FakeTrainer::default(), &specs, &mut Silent).unwrap();
        assert_eq!(records[0].end, RunEnd::Finished);
        assert!(claims(&directory).is_empty() && results(directory.path()).len() == 1);
    }
}

/// Claims of before they had a token are taken over, given up and waited for as others.
#[test]
fn a_claim_without_a_token_is_read() {
    let directory = tempdir().unwrap();
    let specs = [spec(4, 4, 10)];
    let mut first = share(&directory);
    assert_eq!(claim(&mut first, &specs), Claimed::Runs(vec![0]));
    drop(first);
    let path = fs::read_dir(directory.path().join("claims")).unwrap().next().unwrap().unwrap().path();
    let mut note: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let token = note.as_object_mut().unwrap().remove("token").unwrap();
    assert_ne!(token, 0);
    for state in ["running", "released", "failed"] {
        note["state"] = state.into();
        note["machine"] = "another".into();
        fs::write(&path, serde_json::to_vec(&note).unwrap()).unwrap();
        let mut later = share(&directory);
        assert_eq!(claim(&mut later, &specs), Claimed::Runs(vec![0]), "{state}");
        drop(later);
        for claim in fs::read_dir(directory.path().join("claims")).unwrap() {
            fs::remove_file(claim.unwrap().path()).unwrap();
        }
    }
}

/// Rounds of many processes on a campaign each, of which some are killed while they hold runs: every run has one result in the
/// end, that of a process alone.
fn crowds(rounds: usize, processes: usize) {
    let expected = alone();
    let (mut kills, mut random) = (0, 99_u64);
    for round in 0..rounds {
        let directory = tempdir().unwrap();
        let begin = |number: usize| start(directory.path(), &number.to_string(), ["3000", "1", "40", AGES]);
        let mut children: Vec<Child> = (0..processes).map(begin).collect();
        // Those that have begun a run hold it.
        let mut victims = 0;
        let timer = Instant::now();
        while victims < processes / 10 + 1 && timer.elapsed() < Duration::from_secs(20) {
            let holding = (0..processes).find(|number| {
                let text = fs::read_to_string(log(directory.path(), &number.to_string())).unwrap_or_default();
                let last = text.lines().last().unwrap_or_default().to_owned();
                last.starts_with("step ")
            });
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if let Some(number) = holding.filter(|_| random >> 63 == 0)
                && children[number].try_wait().unwrap().is_none()
            {
                children[number].kill().unwrap();
                children[number].wait().unwrap();
                victims += 1;
            }
            if children.iter_mut().all(|child| child.try_wait().unwrap().is_some()) {
                break;
            }
            thread::sleep(Duration::from_millis(2));
        }
        kills += victims;
        for child in &mut children {
            let status = child.wait().unwrap();
            assert!(status.code().is_none_or(|code| [0, 75].contains(&code)), "round {round}: {status}");
        }
        // What the killed have left is done by the next.
        assert!(start(directory.path(), "last", ["0", "100", "40", AGES]).wait().unwrap().success());
        assert_eq!(results(directory.path()), expected, "round {round}");
        let names = (0..processes).map(|number| number.to_string()).chain(["last".to_owned()]);
        let mut done: Vec<String> = names.flat_map(|name| lines(directory.path(), &name, "done ")).collect();
        let all = done.len();
        done.sort();
        done.dedup();
        assert_eq!(done.len(), all, "round {round}: a run was done twice");
    }
    assert!(kills >= rounds, "only {kills} holders were killed");
    #[allow(clippy::print_stdout)]
    {
        println!("crowds: {rounds} rounds of {processes} processes, {kills} holders killed");
    }
}

#[test]
fn holders_among_many_processes_are_killed_and_no_run_is_lost_or_repeated() {
    crowds(2, 8);
}

#[test]
#[ignore = "takes minutes; cargo xtask reliability deep runs it"]
fn fifty_processes_for_twenty_rounds_lose_and_repeat_nothing() {
    crowds(20, 50);
}
