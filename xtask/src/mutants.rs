//! Deliberate faults of our own code, one at a time in a copy of the workspace, each of which the tests must notice.
//!
//! Nothing of it is in the program: a fault is a text that is put in place of another before the copy is built.

use crate::{
    command::{Command, Failure, Outcome},
    place::Place,
};
use std::{fs, path::Path, time::Duration};

/// The tests of one fault may take so long.
const LIMIT: Duration = Duration::from_secs(300);

/// A fault.
struct Mutant {
    name: &'static str,
    file: &'static str,
    /// What is there, once in the file, and what is put in its place.
    from: &'static str,
    to: &'static str,
    /// Which tests of `mars-calib` must notice it.
    tests: &'static str,
}

const NEW_FILE: &str = "mars-lora/src/files/new_file.rs";
const NEW_DIRECTORY: &str = "mars-lora/src/files/new_directory.rs";
const CAMPAIGN: &str = "mars-calib/src/campaign/mod.rs";
const RESULTS: &str = "mars-calib/src/campaign/results.rs";

const MUTANTS: [Mutant; 14] = [
    Mutant {
        name: "a file is not flushed before it is renamed",
        file: NEW_FILE,
        from: "self.file.sync_all()?;",
        to: "",
        tests: "operations",
    },
    Mutant {
        name: "a file is renamed before it is flushed",
        file: NEW_FILE,
        from: "self.file.sync_all()?;\n        fs::rename(&self.temporary, &self.target)?;",
        to: "fs::rename(&self.temporary, &self.target)?;\n        self.file.sync_all()?;",
        tests: "operations",
    },
    Mutant {
        name: "the rename of a file is not flushed",
        file: NEW_FILE,
        from: "sync_directory(parent(&self.target))",
        to: "Ok(())",
        tests: "operations",
    },
    Mutant {
        name: "files are written in place",
        file: NEW_FILE,
        from: "let mut file = NewFile::beside(path)?;\n    file.write_all(bytes)?;\n    file.put()",
        to: "fs::write(path, bytes)",
        tests: "operations",
    },
    Mutant {
        name: "the files of a checkpoint are not flushed",
        file: NEW_DIRECTORY,
        from: "sync_all(&self.temporary)?;\n        fs::rename",
        to: "fs::rename",
        tests: "operations",
    },
    Mutant {
        name: "the lock of a campaign is dropped",
        file: CAMPAIGN,
        from: "lock: Some(lock),",
        to: "lock: Some(lock).filter(|_| false),",
        tests: "lock",
    },
    Mutant {
        name: "a run is called finished before its result is stored",
        file: CAMPAIGN,
        from: "if self.asked.contains(&record.id)\n            && let Err(error) = self.campaign.keep(record)",
        to: "if record.val.is_empty()\n            && let Err(error) = self.campaign.keep(record)",
        tests: "kill",
    },
    Mutant {
        name: "a result of another content than its checksum counts",
        file: RESULTS,
        from: "if stored.checksum != checksum(&record) {",
        to: "if stored.checksum.is_empty() {",
        tests: "campaign",
    },
    Mutant {
        name: "a failed run counts as done",
        file: RESULTS,
        from: "if let RunEnd::Failed { why } = &record.end {",
        to: "if let RunEnd::Failed { why } = &record.end && why.is_empty() {",
        tests: "campaign",
    },
    Mutant {
        name: "a checkpoint of another content than its checksum counts",
        file: "mars-calib/src/checkpoint.rs",
        from: "file.filter(|bytes| checksum(bytes) == sum)",
        to: "file.filter(|_| !sum.is_empty())",
        tests: "checkpoints",
    },
    Mutant {
        name: "settings that were cut count",
        file: "mars-calib/src/campaign/settings.rs",
        from: "written.is_some_and(|written| written != found)",
        to: "written.is_some_and(|written| written != found && found.is_empty())",
        tests: "cuts",
    },
    Mutant {
        name: "a run of a living process is taken over at once",
        file: "mars-calib/src/campaign/share.rs",
        from: "seen.is_orphan() || watched.silence(seen, now) >= pace.patience",
        to: "seen.is_orphan() || watched.silence(seen, now) >= Duration::ZERO",
        tests: "share",
    },
    Mutant {
        name: "a full disk fails the run",
        file: "mars-calib/src/trainer/interface.rs",
        from: "if error.is_outside_the_runs() {",
        to: "if error.is_outside_the_runs() && spec.steps == 0 {",
        tests: "storage",
    },
    Mutant {
        name: "a retry is credited with the curve of the try before",
        file: "mars-calib/src/trainer/command/losses.rs",
        from: "if killed {\n            found::forget(&self.curve, self.format)?;\n        }",
        to: "",
        tests: "command_tries",
    },
];

/// Lets the tests judge each fault whose name holds one of `words`; all of them where there are none. Without a fault the
/// same tests must pass.
pub(crate) fn run(words: &[String], place: &Place) -> Outcome {
    let folder = place.target()?.join("mutants");
    let tree = folder.join("tree");
    copy(place, &tree)?;
    let chosen: Vec<&Mutant> = MUTANTS
        .iter()
        .filter(|mutant| words.is_empty() || words.iter().any(|word| mutant.name.contains(word.as_str())))
        .collect();
    let mut tests: Vec<&str> = chosen.iter().map(|mutant| mutant.tests).collect();
    tests.sort_unstable();
    tests.dedup();
    for filter in tests {
        judge(&tree, &folder, filter, place).map_err(|error| format!("without a fault: {error}"))?;
    }
    let mut missed = Vec::new();
    for Mutant { name, file, from, to, tests } in chosen {
        let path = tree.join(file);
        let whole = fs::read_to_string(&path).map_err(|error| format!("{file}: {error}"))?;
        if whole.matches(from).count() != 1 {
            return Err(format!("{file} does not hold once what the fault `{name}` replaces").into());
        }
        fs::write(&path, whole.replacen(from, to, 1))?;
        build(&tree, &folder, place).map_err(|error| format!("with the fault `{name}`: {error}"))?;
        let caught = judge(&tree, &folder, tests, place).is_err();
        fs::write(&path, whole)?;
        println!("{}: {name}, by the tests `{tests}`", if caught { "caught" } else { "MISSED" });
        if !caught {
            missed.push(*name);
        }
    }
    if missed.is_empty() { Ok(()) } else { Err(format!("not caught: {}", missed.join("; ")).into()) }
}

/// The files that git knows, as they are now.
fn copy(place: &Place, tree: &Path) -> Result<(), Failure> {
    if tree.exists() {
        fs::remove_dir_all(tree)?;
    }
    let listed = Command::new("git", "git", &place.root)
        .args(&["ls-files", "--cached", "--others", "--exclude-standard"])
        .output()?;
    for name in listed.lines().filter(|name| place.root.join(name).is_file()) {
        let to = tree.join(name);
        fs::create_dir_all(to.parent().unwrap_or(tree))?;
        fs::copy(place.root.join(name), to)?;
    }
    Ok(())
}

/// `cargo` on the crates that need no burn, in the copy.
fn cargo(tree: &Path, folder: &Path, place: &Place, command: &str, arguments: &[&str]) -> Command {
    let target = folder.join("build");
    place
        .cargo_in(tree, &[command, "--quiet", "--package", "mars-calib", "--no-default-features"])
        .env("CARGO_TARGET_DIR", &target.to_string_lossy())
        .args(arguments)
}

fn build(tree: &Path, folder: &Path, place: &Place) -> Outcome {
    cargo(tree, folder, place, "build", &["--examples"]).run()?;
    cargo(tree, folder, place, "test", &["--test", "suite", "--no-run"]).run()
}

/// Success where the tests pass within five minutes; a fault may let them wait for ever.
fn judge(tree: &Path, folder: &Path, tests: &str, place: &Place) -> Outcome {
    build(tree, folder, place)?;
    cargo(tree, folder, place, "test", &["--test", "suite", "--", tests]).run_within(LIMIT)
}

#[cfg(test)]
mod tests {
    use super::MUTANTS;
    use std::{fs, path::Path};

    /// Faults are made by hand, after hours: a text that has moved would show then only.
    #[test]
    fn what_a_fault_replaces_is_there_once() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for mutant in &MUTANTS {
            let text = fs::read_to_string(root.join(mutant.file)).unwrap_or_default();
            assert_eq!(text.matches(mutant.from).count(), 1, "{}: {}", mutant.file, mutant.name);
        }
    }
}
