//! Searches on real engines of clusters, started on this machine.

use crate::{
    command::{Command, Failure, Outcome},
    place::Place,
};

/// The engines, each with its script in `xtask/clusters`.
const ENGINES: [&str; 2] = ["slurm", "hyperqueue"];

/// Builds `mars` and lets the scripts of the named engines check it; of all where none is named. A script says so where its
/// engine is not installed.
pub(crate) fn run(engines: &[String], place: &Place) -> Outcome {
    if let Some(unknown) = engines.iter().find(|name| !ENGINES.contains(&name.as_str())) {
        let known: Failure =
            format!("there is no engine `{unknown}`; there are {}", ENGINES.join(" and ")).into();
        return Err(known);
    }
    let program = place.mars()?;
    for engine in ENGINES.iter().filter(|name| engines.is_empty() || engines.iter().any(|one| one == *name)) {
        let script = format!("xtask/clusters/{engine}.sh");
        Command::new("bash", "bash", &place.root)
            .args(&[script, program.to_string_lossy().into_owned()])
            .run()?;
    }
    Ok(())
}
