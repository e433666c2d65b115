//! The libraries as packages for a registry.

use crate::{command::Outcome, place::Place};

/// The packages that can be published, in the order of their dependencies.
const PACKAGES: [&str; 5] = ["mars-laws", "mars-search", "mars-lora", "mars-vlm", "mars-calib"];

/// All five are packaged, and built from their packages without default features, that is without burn, which would take
/// as long as the rest of the checks.
///
/// The packages find each other in the workspace as if they had been published, so no registry has to know them.
pub(super) fn run(place: &Place) -> Outcome {
    let packages = PACKAGES.iter().flat_map(|package| ["--package", package]);
    let packages: Vec<&str> = packages.collect();
    place.cargo(&["package", "--allow-dirty", "--no-default-features"]).args(&packages).run()
}
