//! The examples of all packages.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::{
    command::{Failure, Outcome},
    place::Place,
};

/// Examples that are built only, and why they are not run.
const BUILT_ONLY: [(&str, &str); 7] = [
    ("adapters_on_disk", "reads the files of a Python script"),
    ("campaign", "a part of the test that kills it"),
    ("coverage", "a measurement of an hour"),
    ("kappa", "a measurement"),
    ("long_tasks", "a measurement of a minute"),
    ("planted", "a measurement"),
    ("share", "a part of the tests that share a campaign"),
];

/// Builds all examples as `cargo test --workspace` does, so that nothing is built twice, and runs those that need no
/// arguments and end within seconds.
pub(super) fn run(place: &Place) -> Outcome {
    place.cargo(&["build", "--workspace", "--examples"]).run()?;
    for example in find(&place.root)? {
        match BUILT_ONLY.iter().find(|(name, _)| *name == example) {
            Some((_, reason)) => println!("{example}: built only ({reason})"),
            None => {
                let path =
                    place.debug.join("examples").join(&example).with_extension(env::consts::EXE_EXTENSION);
                let output = place.program(&path).output()?;
                println!("{}", shortened(&output));
            }
        }
    }
    Ok(())
}

/// The names of all examples of the packages in and directly below the root, in order.
fn find(root: &Path) -> Result<Vec<String>, Failure> {
    let listed = |directory: &Path| -> Result<Vec<PathBuf>, Failure> {
        let entries = fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
        Ok(entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect())
    };
    let mut packages = listed(root)?;
    packages.push(root.to_owned());
    let mut names = Vec::new();
    for directory in packages.iter().map(|package| package.join("examples")).filter(|path| path.is_dir()) {
        for path in listed(&directory)? {
            let example =
                path.extension().is_some_and(|extension| extension == "rs") || path.join("main.rs").is_file();
            names.extend(
                path.file_stem().filter(|_| example).and_then(|stem| stem.to_str()).map(str::to_owned),
            );
        }
    }
    names.sort();
    // All packages put their examples into one directory.
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("two examples are called {}: one overwrites the other", pair[0]).into()),
        None => Ok(names),
    }
}

/// The beginning of what an example wrote.
fn shortened(output: &str) -> String {
    let mut lines: Vec<String> =
        output.lines().take(20).map(|line| line.chars().take(160).collect()).collect();
    if output.lines().count() > lines.len() {
        lines.push("...".to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_built_only_exists() {
        let found = find(&Place::find().unwrap().root).unwrap();
        for (name, _) in BUILT_ONLY {
            assert!(found.iter().any(|example| example == name), "there is no example {name}");
        }
    }
}
