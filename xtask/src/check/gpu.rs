//! Tests on a GPU, or on a software implementation of Vulkan.

use crate::{command::Outcome, place::Place};
use std::{fs, process::Command};

/// Where the loader of Vulkan looks for drivers on Linux.
const DRIVERS: [&str; 2] = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];

/// Debian's packages of Mesa's drivers, one of which computes on the CPU.
const PACKAGES: [&str; 2] = ["mesa-vulkan-drivers", "libvulkan1"];

/// Operations, parity and an optimizer step of every model family, and ten steps of the embedded task on a GPU.
///
/// Without autotune and fusion: on software Vulkan their kernels take minutes to compile. Left out with a word where there is no driver
/// and none can be installed.
pub(super) fn wgpu(place: &Place) -> Outcome {
    if !driver() {
        println!("no driver for Vulkan is installed; trying Debian's {}", PACKAGES.join(" and "));
        let install = ["install", "--yes", "--no-install-recommends"];
        // Whether this works shows in what is there afterwards.
        let _ = Command::new("apt-get").args(install).args(PACKAGES).status();
    }
    if !driver() {
        println!("left out: there is no driver for Vulkan");
        return Ok(());
    }
    let tests: [(&str, &[&str]); 4] = [
        ("laws", &["ops::", "quantised::", "stacking::stacked", "stacking::padding"]),
        ("model", &["architectures::"]),
        ("gpu_steps", &[]),
        ("cli", &["devices::"]),
    ];
    for (binary, filters) in tests {
        let test = ["test", "--workspace", "--features", "mars-cli/wgpu", "--test", binary, "--"];
        place.cargo(&[&test[..], filters].concat()).env("MARS_TEST_DEVICE", "gpu").run()?;
    }
    Ok(())
}

fn driver() -> bool {
    DRIVERS.iter().any(|directory| fs::read_dir(directory).is_ok_and(|mut files| files.next().is_some()))
}
