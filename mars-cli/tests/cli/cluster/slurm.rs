//! `mars slurm`: scripts that a shell can read and run, what is left, and submission, with stand-ins for Slurm's programs.

use super::kit::Planted;
use crate::kit::{command, json, mars, refused, strs};
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output, Stdio},
    thread,
    time::Duration,
};

/// A directory with programs that write down how they were called.
fn stand_ins(planted: &Planted) -> String {
    let bin = planted.path("bin");
    fs::create_dir_all(&bin).unwrap();
    let calls = planted.path("calls");
    for (name, says) in [("sbatch", "echo '41;cluster'"), ("scontrol", "true")] {
        let path = bin.join(name);
        fs::write(&path, format!("#!/bin/sh\necho {name} \"$@\" >> '{}'\n{says}\n", calls.display()))
            .unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    format!("{}:{}", bin.display(), std::env::var("PATH").unwrap())
}

fn calls(planted: &Planted) -> String {
    fs::read_to_string(planted.path("calls")).unwrap_or_default()
}

fn script(planted: &Planted, name: &str) -> std::path::PathBuf {
    planted.path("out").join("slurm").join(name)
}

/// Runs a script as Slurm does.
fn run(planted: &Planted, name: &str, variables: &[(&str, &str)]) -> Output {
    let mut bash = Command::new("bash");
    bash.arg(script(planted, name)).env("PATH", stand_ins(planted)).envs(variables.iter().copied());
    bash.output().unwrap()
}

/// What `bash -n` has against a script.
fn parsed(path: &Path) {
    let checked = Command::new("bash").arg("-n").arg(path).output().unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}

#[test]
fn scripts_are_read_by_bash_and_do_the_search() {
    let planted = Planted::new();
    let more = ["--limit", "3", "--sbatch=--gpus=1", "--sbatch=--time=04:00:00", "--warn", "90", "--json"];
    let written = json(&strs(&planted.arguments("slurm", &more)));
    assert_eq!(written["jobs"][0]["array"], "0-7%3", "{written}");
    assert!(written["jobs"][0]["job"].is_null() && written["jobs"][1]["array"].is_null(), "{written}");
    for name in ["calibrate.sbatch", "search.sbatch"] {
        let path = script(&planted, name);
        parsed(&path);
        let text = fs::read_to_string(&path).unwrap();
        for line in [
            "#!/bin/bash",
            "#SBATCH --requeue",
            "#SBATCH --signal=B:USR1@90",
            "#SBATCH --gpus=1",
            "#SBATCH --time=04:00:00",
        ] {
            assert!(text.lines().any(|one| one == line), "{line}: {text}");
        }
        assert_eq!(text.contains("#SBATCH --array=0-7%3\n"), name == "calibrate.sbatch");
    }
    for index in 0..Planted::RUNS {
        let done = run(&planted, "calibrate.sbatch", &[("SLURM_ARRAY_TASK_ID", &index.to_string())]);
        assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    }
    assert_eq!(planted.started().len(), Planted::RUNS);
    let searched = run(&planted, "search.sbatch", &[]);
    assert_eq!(searched.status.code(), Some(0), "{}", String::from_utf8_lossy(&searched.stderr));
    assert_eq!(json(&["status", &planted.out(), "--json"])["stage"], "done");
    assert_eq!(calls(&planted), "", "nothing was queued again");
    let done = mars(&strs(&planted.arguments("slurm", &["--pending"])));
    assert!(done.stdout.contains("nothing is left to do"), "{}", done.stdout);
}

#[test]
fn what_is_left_is_submitted_with_the_search_behind_it() {
    let planted = Planted::new();
    refused(&strs(&planted.arguments("slurm", &["--pending"])), 3, &["no campaign"]);
    for index in ["0", "3", "4"] {
        assert_eq!(mars(&strs(&planted.arguments("calibrate", &["--index", index]))).code, Some(0));
    }
    // The numbers are those of the plan of a policy.
    let mut other = planted.arguments("slurm", &["--pending"]);
    let policy = other.iter().position(|argument| argument == "race").unwrap();
    other[policy] = "paper".to_owned();
    refused(&strs(&other), 2, &["search.policy is paper", "give --policy race"]);
    let more = ["--pending", "--submit", "--json"];
    let done: crate::kit::Done = command(&strs(&planted.arguments("slurm", &more)))
        .env("PATH", stand_ins(&planted))
        .env("MARS_TRAIN_SEED", "0")
        .env("MARS_API_TOKEN", "secret")
        .output()
        .unwrap()
        .into();
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let jobs: serde_json::Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!(jobs["jobs"][0]["array"], "1-2,5-7", "{jobs}");
    assert_eq!(jobs["jobs"][0]["job"], "41");
    let calls = calls(&planted);
    let expected =
        format!("sbatch --parsable --dependency=afterany:41 {}", script(&planted, "search.sbatch").display());
    assert_eq!(calls.lines().nth(1), Some(expected.as_str()), "{calls}");
    let text = fs::read_to_string(script(&planted, "calibrate.sbatch")).unwrap();
    assert!(text.contains("\nexport MARS_TRAIN_SEED=0\n") && !text.contains("MARS_API_TOKEN"), "{text}");
    // Without Slurm that is said.
    let without =
        command(&strs(&planted.arguments("slurm", &["--submit"]))).env("PATH", "/nowhere").output().unwrap();
    let stderr = String::from_utf8_lossy(&without.stderr).into_owned();
    assert!(without.status.code() == Some(1) && stderr.contains("on a machine with Slurm"), "{stderr}");
}

#[test]
fn a_job_that_is_queued_already_is_named_where_the_next_is_refused() {
    let planted = Planted::new();
    let path = stand_ins(&planted);
    let refuses = "#!/bin/sh\ncase $* in *search*) echo 'no such partition' >&2; exit 1 ;; esac\necho 4711\n";
    fs::write(planted.path("bin/sbatch"), refuses).unwrap();
    let submit = planted.arguments("slurm", &["--submit"]);
    let done: crate::kit::Done = command(&strs(&submit)).env("PATH", path).output().unwrap().into();
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    for part in ["no such partition", "calibrate.sbatch is submitted already", "scancel 4711"] {
        assert!(done.stderr.contains(part), "{part}: {}", done.stderr);
    }
}

#[test]
fn workers_share_the_runs_and_are_content_when_none_is_left() {
    let planted = Planted::new();
    let more = ["--workers", "2"];
    assert_eq!(mars(&strs(&planted.arguments("slurm", &more))).code, Some(0));
    let text = fs::read_to_string(script(&planted, "calibrate.sbatch")).unwrap();
    assert!(text.contains("#SBATCH --array=0-1\n") && text.contains(" --at-once 1 &\n"), "{text}");
    // Another process holds all of them.
    planted.hold(true);
    let holder = planted.start(&planted.arguments("calibrate", &["--at-once", "8"]));
    planted.wait_for_starts(1);
    let late =
        run(&planted, "calibrate.sbatch", &[("SLURM_ARRAY_TASK_ID", "1"), ("SLURM_ARRAY_JOB_ID", "5")]);
    assert_eq!(late.status.code(), Some(0), "{}", String::from_utf8_lossy(&late.stderr));
    // A search would train beside the holder what it waits for.
    let pending: crate::kit::Done =
        command(&strs(&planted.arguments("slurm", &["--pending", "--submit", "--json"])))
            .env("PATH", stand_ins(&planted))
            .output()
            .unwrap()
            .into();
    assert_eq!(pending.code, Some(0), "{}", pending.stderr);
    assert!(!pending.stdout.contains("script"), "{}", pending.stdout);
    let said = mars(&strs(&planted.arguments("slurm", &["--pending"]))).stdout;
    assert!(said.starts_with("nothing is submitted: 8 runs are being trained by process "), "{said}");
    assert_eq!(calls(&planted), "");
    planted.hold(false);
    assert!(holder.wait_with_output().unwrap().status.success());
}

/// The warning goes to the script, which passes it on and queues the task again; so it is where another holds the run. What
/// is wrong for good is not.
#[test]
fn a_warned_task_is_queued_again() {
    let planted = Planted::new();
    assert_eq!(mars(&strs(&planted.arguments("slurm", &[]))).code, Some(0));
    planted.hold(true);
    let path = stand_ins(&planted);
    let mut env = Command::new("env");
    env.args(["--default-signal=USR1,TERM", "bash"]).arg(script(&planted, "calibrate.sbatch"));
    env.env("PATH", &path).envs([
        ("SLURM_ARRAY_JOB_ID", "17"),
        ("SLURM_ARRAY_TASK_ID", "2"),
        ("SLURM_JOB_ID", "19"),
    ]);
    let task = env.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    planted.wait_for_starts(1);
    let held =
        run(&planted, "calibrate.sbatch", &[("SLURM_ARRAY_JOB_ID", "17"), ("SLURM_ARRAY_TASK_ID", "2")]);
    assert_eq!(held.status.code(), Some(75), "{}", String::from_utf8_lossy(&held.stderr));
    let often = [("SLURM_ARRAY_JOB_ID", "17"), ("SLURM_ARRAY_TASK_ID", "2"), ("SLURM_RESTART_COUNT", "10")];
    assert_eq!(run(&planted, "calibrate.sbatch", &often).status.code(), Some(75));
    thread::sleep(Duration::from_millis(300));
    assert!(Command::new("kill").args(["-USR1", &task.id().to_string()]).status().unwrap().success());
    let ended = task.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(85), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(
        calls(&planted),
        "scontrol requeue 17_2\nscontrol requeue 17_2\n",
        "not the one tried ten times"
    );
    planted.hold(false);
    let beyond =
        run(&planted, "calibrate.sbatch", &[("SLURM_ARRAY_JOB_ID", "17"), ("SLURM_ARRAY_TASK_ID", "8")]);
    assert_eq!(beyond.status.code(), Some(2));
    assert_eq!(calls(&planted).lines().count(), 2);
}

#[test]
fn directories_and_settings_with_blanks_and_quotes_stay_whole() {
    let planted = Planted::new();
    let out = planted.path("it's a $place");
    let mut arguments = planted.arguments("slurm", &["--limit", "2"]);
    let at = arguments.iter().position(|one| *one == planted.out()).unwrap();
    arguments[at] = out.to_str().unwrap().to_owned();
    let done = mars(&strs(&arguments));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let path = out.join("slurm/calibrate.sbatch");
    parsed(&path);
    let done = Command::new("bash").arg(&path).env("SLURM_ARRAY_TASK_ID", "0").output().unwrap();
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(out.join("campaign.toml").is_file());
    let header = fs::read_to_string(&path).unwrap();
    assert!(header.contains("#SBATCH --output=\""), "{header}");
    refused(&strs(&planted.arguments("slurm", &["--sbatch", "gpus=1"])), 2, &["gpus=1", "--time=04:00:00"]);
    refused(&strs(&planted.arguments("slurm", &["--sbatch=-p gpu"])), 2, &["-p gpu", "= before its value"]);
    let scripts = planted.path("a\"b");
    let place = ["--scripts", scripts.to_str().unwrap()];
    refused(&strs(&planted.arguments("slurm", &place)), 2, &["the path", "has a quote", "--scripts"]);
    assert!(!scripts.exists());
    refused(&strs(&planted.arguments("slurm", &["--at-once", "2"])), 2, &["--workers"]);
}

/// What is printed is for a shell, whatever the directory is called.
#[test]
fn a_shell_reads_the_commands_that_are_printed() {
    let planted = Planted::new();
    let out = planted.path("it's here/run");
    let place = ["--scripts", out.to_str().unwrap()];
    let done = mars(&strs(&planted.arguments("slurm", &place)));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let (_, printed) = done.stdout.split_once("--submit, or\n").unwrap();
    let ran = Command::new("sh").args(["-ec", printed]).env("PATH", stand_ins(&planted)).output().unwrap();
    assert!(ran.status.success(), "{printed}: {}", String::from_utf8_lossy(&ran.stderr));
    let called = |options: &str, name: &str| format!("sbatch {options} {}\n", out.join(name).display());
    let expected =
        [called("--parsable", "calibrate.sbatch"), called("--dependency=afterany:41", "search.sbatch")];
    assert_eq!(calls(&planted), expected.concat());
}

/// A policy without calibration runs has no array of workers.
#[test]
fn workers_are_for_policies_that_calibrate() {
    let planted = Planted::new();
    let fixed = |command: &str, more: &[&str]| -> Vec<String> {
        let all = planted.arguments(command, more).into_iter();
        all.map(|one| if one == "race" { "fixed:8x8".to_owned() } else { one }).collect()
    };
    let done = mars(&strs(&fixed("slurm", &["--workers", "2"])));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stdout.contains("search.sbatch") && !done.stdout.contains("calibrate"), "{}", done.stdout);
    let written: Vec<_> = fs::read_dir(planted.path("out/slurm")).unwrap().collect();
    assert_eq!(written.len(), 1, "{written:?}");
    // More than the search may cost.
    let short = planted.arguments("slurm", &["--workers", "2", "--policy", "guided", "--json"]);
    let at = short.iter().position(|one| one == "race").unwrap();
    let short = [&short[..at - 1], &short[at + 1..], &["--set".to_owned(), "search.budget=1.01".to_owned()]];
    let jobs = json(&strs(&short.concat()));
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 1, "{jobs}");
    // No budget helps such a policy.
    let refusal = mars(&strs(&fixed("calibrate", &[])));
    assert_eq!(refusal.code, Some(2));
    assert!(refusal.stderr.contains("fixed:8x8") && !refusal.stderr.contains("budget"), "{}", refusal.stderr);
    let image = ["--image", "i", "--claim", "c", "--runs", "4"];
    refused(&strs(&fixed("k8s", &image)), 2, &["no calibration", "--search"]);
}

/// The native trainer: the plan is counted on the task.
#[test]
fn the_runs_of_the_built_in_trainer_are_counted() {
    let task = crate::kit::SmallTask::new();
    let out = task.path("out");
    let written = json(&strs(&task.arguments("slurm", &["--policy", "race", "--out", &out, "--json"])));
    assert_eq!(written["jobs"][0]["array"], "0-7", "{written}");
    // Runs are counted for the policy of the call, whichever the campaign has: the scripts say it.
    let guided = json(&strs(&task.arguments("slurm", &["--out", &out, "--json"])));
    for job in guided["jobs"].as_array().unwrap() {
        let script = fs::read_to_string(job["script"].as_str().unwrap()).unwrap();
        assert!(script.contains("--policy=guided"), "{script}");
    }
    let more = ["--policy", "fixed:2x2", "--out", &out, "--json"];
    let only = json(&strs(&task.arguments("slurm", &more)));
    assert_eq!(only["jobs"].as_array().unwrap().len(), 1, "the search alone: {only}");
    // Nothing but the scripts was written.
    assert!(!Path::new(&out).join("campaign.toml").exists());
}
