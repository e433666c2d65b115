//! `mars devices`: where this program can compute.

use crate::{exit::Exit, output};
use mars::{
    Error,
    device::{Backend, Found, devices},
};
use serde::Serialize;

/// A place to compute.
#[derive(Clone, Debug, Serialize)]
struct Listed {
    #[serde(flatten)]
    found: Found,
    /// Of the processor; 0 and none for others.
    threads: usize,
    instructions: Vec<&'static str>,
}

pub(crate) fn run(json: bool) -> Result<Exit, Error> {
    let devices = list();
    if json {
        output::json(&devices)?;
        return Ok(Exit::Done);
    }
    let mut lines: Vec<String> = devices.iter().map(line).collect();
    let (built_in, absent): (Vec<_>, Vec<_>) =
        Backend::ALL.into_iter().partition(|backend| backend.is_built_in());
    for backend in built_in {
        let found = |listed: &Listed| listed.found.name.split(':').next() == Some(backend.name());
        if !devices.iter().any(found) {
            lines.push(format!("{backend}: none found; it needs {}", backend.needs()));
        }
    }
    if !absent.is_empty() {
        let names = absent.into_iter().map(Backend::name).collect::<Vec<_>>().join(", ");
        lines.push(format!(
            "Not in this build: {names}. To add one: cargo build --release -p mars-cli --features NAME (docs/devices.md)"
        ));
    }
    output::text(lines.join("\n"))?;
    Ok(Exit::Done)
}

fn line(listed: &Listed) -> String {
    const GIB: f64 = (1u64 << 30) as f64;
    let Listed { found, threads, instructions } = listed;
    let mut parts = Vec::new();
    match &found.hardware {
        Some(hardware) => parts.push(hardware.clone()),
        None => parts.push(format!("burn flex, {threads} threads, {}", instructions.join(" "))),
    }
    if let Some(bytes) = found.memory {
        parts.push(format!("{:.1} GiB", bytes as f64 / GIB));
    }
    parts.push(found.types.join(" "));
    format!("{}: {}", found.name, parts.join(", "))
}

/// All devices that this program can use here.
fn list() -> Vec<Listed> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let listed = |found: Found| {
        let processor = found.name == Backend::Cpu.name();
        Listed {
            threads: if processor { threads } else { 0 },
            instructions: if processor { instructions() } else { Vec::new() },
            found,
        }
    };
    devices().into_iter().map(listed).collect()
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
