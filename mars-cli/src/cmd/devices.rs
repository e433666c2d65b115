//! `mars devices`: where this program can compute.

use crate::{exit::Exit, output};
use mars::{Error, task::DEVICES};
use serde::Serialize;

/// A place to compute.
#[derive(Clone, Debug, Serialize)]
struct Listed {
    name: &'static str,
    backend: &'static str,
    threads: usize,
    instructions: Vec<&'static str>,
}

pub(crate) fn run(json: bool) -> Result<Exit, Error> {
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
    DEVICES.map(|name| Listed { name, backend: "burn flex", threads, instructions: instructions() }).to_vec()
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
