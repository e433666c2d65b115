//! The libraries as packages for a registry.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    command::{Command, Failure, Outcome},
    place::Place,
};

/// The packages that can be published, in the order of their dependencies.
const PACKAGES: [&str; 6] =
    ["mars-kernels", "mars-laws", "mars-search", "mars-lora", "mars-vlm", "mars-calib"];

/// All are packaged, and compiled from their packages without default features, that is without burn, which would take
/// as long as the rest of the checks.
///
/// cargo's own verification unpacks a package into its home directory once for each version and then never again, so
/// that a second check of the same version can meet the sources of the first. Here they are unpacked anew, and find each
/// other as members of one workspace.
pub(super) fn run(place: &Place) -> Outcome {
    let selection = PACKAGES.iter().flat_map(|package| ["--package", package]);
    let selection: Vec<&str> = selection.collect();
    place.cargo(&["package", "--allow-dirty", "--no-verify"]).args(&selection).run()?;

    let packed = place.target()?.join("package");
    let unpacked = packed.join("unpacked");
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked).map_err(|error| format!("{}: {error}", unpacked.display()))?;
    }
    fs::create_dir_all(&unpacked).map_err(|error| format!("{}: {error}", unpacked.display()))?;
    for package in PACKAGES {
        let archive = packed.join(format!("{}.crate", versioned(package)));
        // Without `m` the sources would keep the fixed date that cargo gives them, and a change would not be noticed.
        Command::new("tar", "tar", &unpacked).args(&["-xzmf", &archive.display().to_string()]).run()?;
    }
    workspace(&unpacked, &place.root)?;

    let manifest = unpacked.join("Cargo.toml").display().to_string();
    let target = place.target()?.display().to_string();
    let check = ["check", "--workspace", "--no-default-features", "--manifest-path", &manifest];
    place.cargo(&check).args(&["--target-dir", &target]).run()?;
    Ok(())
}

/// The name of a package's archive and of the directory in it: xtask has the version of the workspace.
fn versioned(package: &str) -> String {
    format!("{package}-{}", env!("CARGO_PKG_VERSION"))
}

/// Writes a workspace of the unpacked packages, with the locked versions of the one that they come from.
fn workspace(unpacked: &Path, root: &Path) -> Result<(), Failure> {
    let members: Vec<String> = PACKAGES.iter().map(|package| format!("{:?}", versioned(package))).collect();
    let mut manifest = format!("[workspace]\nresolver = \"3\"\nmembers = [{}]\n", members.join(", "));
    manifest.push_str("\n[patch.crates-io]\n");
    for package in PACKAGES {
        manifest.push_str(&format!("{package} = {{ path = {:?} }}\n", versioned(package)));
    }
    let write = |path: PathBuf, bytes: &[u8]| {
        fs::write(&path, bytes).map_err(|error| format!("{}: {error}", path.display()))
    };
    write(unpacked.join("Cargo.toml"), manifest.as_bytes())?;
    let lock = root.join("Cargo.lock");
    let lock = fs::read(&lock).map_err(|error| format!("{}: {error}", lock.display()))?;
    Ok(write(unpacked.join("Cargo.lock"), &lock)?)
}
