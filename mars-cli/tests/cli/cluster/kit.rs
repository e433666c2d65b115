//! A campaign whose trainer is a shell script: laws are planted, and a run can be held up or fail.

use crate::{kit::command, trainer::SCRIPT};
use serde_json::Value;
use std::{
    fs,
    path::PathBuf,
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::{TempDir, tempdir};

/// Writes down its start, waits while there is `hold`, and fails for the rank of `ve` in `fail`. The curve of the laws follows.
const BEFORE: &str = r#"
echo "$6" >> "$7/started"
while [ -e "$7/hold" ]; do sleep 0.05; done
if [ "$(cat "$7/fail" 2>/dev/null)" = "$1" ]; then echo "no room on the device" >&2; exit 9; fi
"#;

pub(super) struct Planted {
    pub(super) directory: TempDir,
    trainer: String,
}

impl Planted {
    /// Calibration runs of the policy: 2 modules, 2 ranks, 2 sizes.
    pub(super) const RUNS: usize = 8;

    pub(super) fn new() -> Self {
        let directory = tempdir().unwrap();
        let script = directory.path().join("train.sh");
        fs::write(&script, [BEFORE, SCRIPT].concat()).unwrap();
        let place = directory.path().display();
        let trainer = format!(
            "sh '{}' {{r.ve}} {{r.llm}} {{samples}} {{steps}} {{eval_every}} {{out}} '{place}'",
            script.display()
        );
        Self { directory, trainer }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn out(&self) -> String {
        self.path("out").to_str().unwrap().to_owned()
    }

    /// `command` with the settings of the campaign and `more`.
    pub(super) fn arguments(&self, command: &str, more: &[&str]) -> Vec<String> {
        let mut all: Vec<String> =
            [command, "--trainer", &self.trainer, "--out", &self.out(), "--policy", "race"]
                .map(str::to_owned)
                .to_vec();
        for setting in [
            "trainer.samples=512",
            "train.steps=120",
            "search.default_rank=8",
            "search.ranks=[4,8]",
            "calibration.ranks=[4,8]",
            "calibration.sizes=[64,256]",
            "calibration.steps=120",
            "calibration.eval_every=1",
            "calibration.rule=alone-val",
        ] {
            all.extend(["--set".to_owned(), setting.to_owned()]);
        }
        all.extend(more.iter().map(|one| (*one).to_owned()));
        all
    }

    /// Starts `mars` with these arguments.
    pub(super) fn start(&self, arguments: &[String]) -> Child {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Lets every run wait in the middle, or go on.
    pub(super) fn hold(&self, hold: bool) {
        if hold {
            fs::write(self.path("hold"), "").unwrap();
        } else {
            fs::remove_file(self.path("hold")).unwrap();
        }
    }

    /// The directories of runs that were started, one line for each start.
    pub(super) fn started(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("started")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until so many runs were started.
    pub(super) fn wait_for_starts(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while self.started().len() < count {
            assert!(Instant::now() < deadline, "no run is started");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The runs of a status by their state.
pub(super) fn count(status: &Value, state: &str) -> usize {
    status["runs"].as_array().unwrap().iter().filter(|run| run["state"] == state).count()
}
