//! `mars devices`: where this program can compute.

use crate::{
    failure::{Exit, Failure},
    output,
};
use anyhow::Result;
use serde::Serialize;

/// A place to compute.
#[derive(Debug, Serialize)]
pub(crate) struct Listed {
    name: &'static str,
    backend: &'static str,
    threads: usize,
    instructions: Vec<&'static str>,
}

pub(crate) fn run(json: bool) -> Result<Exit> {
    let devices = list();
    if json {
        output::json(&devices)?;
        return Ok(Exit::Done);
    }
    let rows = devices.iter().map(|device| {
        let Listed { name, backend, threads, instructions } = device;
        format!("{name}: {backend}, {threads} threads, {}", instructions.join(" "))
    });
    output::text(rows.collect::<Vec<_>>().join("\n"))?;
    Ok(Exit::Done)
}

/// All devices that this program was built for.
fn list() -> Vec<Listed> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    vec![Listed { name: "cpu", backend: "burn flex", threads, instructions: instructions() }]
}

/// Makes sure that `name` is a device of this program.
pub(crate) fn check(name: &str) -> Result<(), Failure> {
    let names: Vec<&str> = list().iter().map(|device| device.name).collect();
    if names.contains(&name) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "there is no device `{name}`; this program was built for {}",
        names.join(", ")
    )))
}

/// Vector instructions that the matrix products can use here.
fn instructions() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    {
        let found = [
            ("AVX2", std::arch::is_x86_feature_detected!("avx2")),
            ("FMA", std::arch::is_x86_feature_detected!("fma")),
            ("AVX-512", std::arch::is_x86_feature_detected!("avx512f")),
        ];
        found.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
    }
    #[cfg(not(target_arch = "x86_64"))]
    Vec::new()
}
