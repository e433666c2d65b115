//! The libraries as packages for a registry.

use crate::{command::Outcome, place::Place};

/// Packages that build within a minute from what a registry would hold.
const LIGHT: [&str; 2] = ["mars-laws", "mars-search"];

/// Packages on burn, which would be built once more.
const HEAVY: [&str; 3] = ["mars-lora", "mars-vlm", "mars-calib"];

/// All five are packaged: their manifests, files and dependencies on each other are complete. The light ones are also
/// built from their packages.
///
/// The packages find each other in the workspace as if they had been published, so no registry has to know them.
pub(super) fn run(place: &Place) -> Outcome {
    let names = |packages: &[&'static str]| -> Vec<&'static str> {
        packages.iter().flat_map(|package| ["--package", package]).collect()
    };
    let package = || place.cargo(&["package", "--allow-dirty"]);
    package().args(&["--no-verify"]).args(&names(&LIGHT)).args(&names(&HEAVY)).run()?;
    package().args(&names(&LIGHT)).run()
}
