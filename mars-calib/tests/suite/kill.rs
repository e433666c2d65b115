//! SIGKILL at random times: in the end the results are those of a campaign that was never killed, and
//! nothing that was finished is run again.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::tempdir;

/// The example beside this test's own binary: cargo builds both into one profile directory.
fn example() -> PathBuf {
    let own = std::env::current_exe().unwrap();
    let profile = own.parent().and_then(Path::parent).unwrap();
    let example = profile.join("examples/campaign").with_extension(std::env::consts::EXE_EXTENSION);
    assert!(example.is_file(), "{} is missing: run the tests with examples built", example.display());
    example
}

fn start(directory: &Path, log: &Path) -> Child {
    Command::new(example()).arg(directory).arg(log).arg("300").stdout(Stdio::null()).spawn().unwrap()
}

fn results(directory: &Path) -> BTreeMap<String, String> {
    let Ok(runs) = fs::read_dir(directory.join("runs")) else { return BTreeMap::new() };
    runs.map(|run| run.unwrap())
        .filter_map(|run| {
            let result = fs::read_to_string(run.path().join("result.json")).ok()?;
            Some((run.file_name().into_string().unwrap(), result))
        })
        .collect()
}

/// The runs that took steps in the part of the log after `from` bytes.
fn stepped(log: &str, from: usize) -> BTreeSet<&str> {
    log[from..].lines().filter_map(|line| line.strip_prefix("step ")?.split(' ').next()).collect()
}

#[test]
fn killed_at_random_times_a_campaign_ends_as_if_it_never_was() {
    killed(40);
}

#[test]
#[ignore = "takes minutes; cargo xtask reliability deep runs it"]
fn a_thousand_kills_change_nothing() {
    killed(1000);
}

/// Kills the example until it was killed `most` times, through as many campaigns as that takes.
fn killed(most: usize) {
    let clean = tempdir().unwrap();
    let timer = Instant::now();
    let log = clean.path().join("log");
    assert!(start(clean.path(), &log).wait().unwrap().success());
    let whole = timer.elapsed().as_micros() as u64;
    let expected = results(clean.path());
    assert_eq!(expected.len(), 12);
    // The second rung continues the first: no run takes a step of the lineage's first rung again.
    let text = fs::read_to_string(&log).unwrap();
    assert_eq!(text.lines().filter(|line| line.starts_with("done ")).count(), 12);
    let first_steps = text.lines().filter(|line| line.starts_with("step ") && line.ends_with(" 1")).count();
    assert_eq!(first_steps, 6);

    let mut random = 12345u64;
    let (mut kills, mut campaigns, mut resumed) = (0, 0, 0);
    while kills < most {
        campaigns += 1;
        let killed = tempdir().unwrap();
        let log = killed.path().join("log");
        loop {
            let mut done: BTreeSet<String> = results(killed.path()).into_keys().collect();
            let earlier = fs::read_to_string(&log).unwrap_or_default();
            let before = earlier.len();
            // What was called finished has a result.
            done.extend(earlier.lines().filter_map(|line| line.strip_prefix("done ")).map(str::to_owned));
            let mut child = start(killed.path(), &log);
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            thread::sleep(Duration::from_micros((random >> 33) % (whole / 2)));
            let running = child.try_wait().unwrap().is_none();
            if running {
                child.kill().unwrap();
            }
            let status = child.wait().unwrap();
            let text = fs::read_to_string(&log).unwrap_or_default();
            let again: Vec<&str> =
                stepped(&text, before).into_iter().filter(|run| done.contains(*run)).collect();
            assert!(again.is_empty(), "finished runs started again: {again:?}");
            resumed += usize::from(!done.is_empty());
            if status.success() {
                break;
            }
            assert!(status.code().is_none(), "ended by itself with {status}");
            kills += 1;
        }
        assert_eq!(results(killed.path()), expected);
    }
    #[allow(clippy::print_stdout)]
    {
        println!("kills: {kills} in {campaigns} campaigns, {resumed} starts with finished runs");
    }
    assert!(resumed > 10, "{kills} kills in {campaigns} campaigns, but only {resumed} with finished runs");
}

#[test]
fn a_killed_holder_frees_the_campaign_at_once() {
    let directory = tempdir().unwrap();
    let log = directory.path().join("log");
    let mut holder = start(directory.path(), &log);
    let deadline = Instant::now() + Duration::from_secs(20);
    while !log.exists() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    let second = Command::new(example()).arg(directory.path()).arg(&log).output().unwrap();
    let message = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && message.contains(&holder.id().to_string()), "{message}");
    holder.kill().unwrap();
    holder.wait().unwrap();
    assert!(start(directory.path(), &log).wait().unwrap().success());
    assert_eq!(results(directory.path()).len(), 12);
}
