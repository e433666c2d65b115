//! Running `mars` on a small task made of the repository's own assets.

use mars::device::Backend;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};
use tempfile::{TempDir, tempdir};

/// The repository's assets.
pub(crate) fn assets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets")
}

/// `mars` with the environment of the test, but none of its variables.
pub(crate) fn command(arguments: &[&str]) -> Command {
    without_variables(Command::new(env!("CARGO_BIN_EXE_mars")), arguments)
}

/// The same with signals as they are in a terminal, also where the test runs under `nohup` or in the background of a shell,
/// which ignore some of them.
pub(crate) fn listening(arguments: &[&str]) -> Command {
    if cfg!(not(target_os = "linux")) {
        return command(arguments);
    }
    let mut env = Command::new("env");
    env.args(["--default-signal=INT,TERM,HUP,USR1", env!("CARGO_BIN_EXE_mars")]);
    without_variables(env, arguments)
}

fn without_variables(mut command: Command, arguments: &[&str]) -> Command {
    command.args(arguments);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("MARS_") {
            command.env_remove(name);
        }
    }
    // A command that trains has a device of its own.
    if let Some(device) = device().filter(|_| !arguments.contains(&"--trainer")) {
        command.env("MARS_RUN_DEVICE", device.name());
    }
    command
}

/// The back end on which the tests compute, where it is not the default: the first GPU's if `MARS_TEST_DEVICE` is `gpu`.
pub(crate) fn device() -> Option<Backend> {
    std::env::var("MARS_TEST_DEVICE").is_ok_and(|wanted| wanted == "gpu").then(|| {
        let gpu = Backend::ALL.into_iter().find(|backend| *backend != Backend::Cpu && backend.is_built_in());
        gpu.expect("MARS_TEST_DEVICE is `gpu`: build the tests with one of the features wgpu, cuda, rocm")
    })
}

/// What a call did.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Done {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

pub(crate) fn mars(arguments: &[&str]) -> Done {
    command(arguments).output().unwrap().into()
}

/// The JSON of a call that must succeed.
pub(crate) fn json(arguments: &[&str]) -> Value {
    parsed(arguments, &mars(arguments))
}

/// A call in an empty directory, into which the embedded task is unpacked.
pub(crate) fn mars_of_embedded(arguments: &[&str]) -> Done {
    let place = tempdir().unwrap();
    command(arguments).current_dir(place.path()).output().unwrap().into()
}

/// The JSON of such a call, which must succeed.
pub(crate) fn json_of_embedded(arguments: &[&str]) -> Value {
    parsed(arguments, &mars_of_embedded(arguments))
}

fn parsed(arguments: &[&str], done: &Done) -> Value {
    assert_eq!(done.code, Some(0), "{arguments:?}: {}", done.stderr);
    serde_json::from_str(&done.stdout).unwrap()
}

/// Makes sure that a call ends with `code` and one clear message that holds all `parts`.
#[track_caller]
pub(crate) fn refused(arguments: &[&str], code: i32, parts: &[&str]) {
    let done = mars(arguments);
    assert_eq!(done.code, Some(code), "{arguments:?}: {}", done.stderr);
    assert!(done.stdout.is_empty() || arguments.contains(&"check"), "{}", done.stdout);
    assert!(!done.stderr.contains("panicked"), "{}", done.stderr);
    assert_eq!(done.stderr.matches("error: ").count(), 1, "one message: {}", done.stderr);
    assert!(!done.stderr.contains("\\n"), "a line that ends as an escape: {}", done.stderr);
    for part in parts {
        assert!(done.stderr.contains(part), "`{part}` is not in: {}", done.stderr);
    }
}

/// A small task: the tiny model and a few samples.
pub(crate) struct SmallTask {
    pub(crate) directory: TempDir,
}

impl SmallTask {
    pub(crate) fn new() -> Self {
        let directory = tempdir().unwrap();
        for (split, count) in [("train", 48), ("val", 12), ("test", 12)] {
            let text = fs::read_to_string(assets().join(format!("digits/{split}.json"))).unwrap();
            let all: Vec<Value> = serde_json::from_str(&text).unwrap();
            let some = serde_json::to_string(&all[..count]).unwrap();
            fs::write(directory.path().join(format!("{split}.json")), some).unwrap();
        }
        Self { directory }
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    /// A copy of the model directory, to break something in it.
    pub(crate) fn model_copy(&self) -> PathBuf {
        let copy = self.directory.path().join("model");
        fs::create_dir(&copy).unwrap();
        for entry in fs::read_dir(assets().join("model")).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
        }
        copy
    }

    /// The arguments of a command on the task, ending with `more`.
    pub(crate) fn arguments(&self, command: &str, more: &[&str]) -> Vec<String> {
        self.with_model(command, &assets().join("model"), more)
    }

    /// The same with another model.
    pub(crate) fn with_model(&self, command: &str, model: &Path, more: &[&str]) -> Vec<String> {
        let images = assets().join("digits/images.zip");
        let mut all: Vec<String> = vec![command.into()];
        for (flag, path) in [
            ("--model", model.to_str().unwrap()),
            ("--data", &self.path("train.json")),
            ("--val", &self.path("val.json")),
            ("--test", &self.path("test.json")),
            ("--images", images.to_str().unwrap()),
        ] {
            all.extend([flag.to_owned(), path.to_owned()]);
        }
        for setting in [
            "train.steps=8",
            "train.batch=4",
            "train.learning_rate=1e-3",
            "train.eval_every=2",
            "search.ranks=[2,4]",
            "search.default_rank=4",
            "calibration.ranks=[2,4]",
            "calibration.sizes=[16,48]",
            "calibration.steps=8",
            "calibration.rule=alone-val",
            "calibration.eval_every=1",
        ] {
            all.extend(["--set".to_owned(), setting.to_owned()]);
        }
        all.extend(more.iter().map(|argument| (*argument).to_owned()));
        all
    }
}

/// Borrowed arguments.
pub(crate) fn strs(arguments: &[String]) -> Vec<&str> {
    arguments.iter().map(String::as_str).collect()
}
