//! The libraries that build without burn: on clusters, in tests of campaigns, in a few seconds.

use crate::{
    command::{Failure, Outcome},
    place::Place,
};

/// The libraries that have a feature for burn, and build without it.
const LIBRARIES: [&str; 3] = ["mars-lora", "mars-vlm", "mars-calib"];

/// Nothing of burn is among the dependencies of the libraries without default features, nor of those that have none.
pub(super) fn trees(place: &Place) -> Outcome {
    for library in ["mars-kernels", "mars-laws", "mars-search"].iter().chain(&LIBRARIES) {
        let tree = ["tree", "--package", library, "--no-default-features", "--prefix", "none"];
        let listed = place.cargo(&tree).output()?;
        if let Some(line) = listed.lines().find(|line| line.starts_with("burn")) {
            return Err(format!("{library} without default features depends on {line}").into());
        }
    }
    Ok(())
}

/// Each alone, so that no other package turns a feature on.
pub(super) fn lints(place: &Place) -> Result<(), Failure> {
    for library in LIBRARIES {
        let check = ["clippy", "--package", library, "--no-default-features", "--all-targets"];
        place.cargo(&check).args(&["--", "-D", "warnings"]).run()?;
    }
    Ok(())
}
