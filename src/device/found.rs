//! The devices that a machine has.

use super::backend::Backend;
use burn::tensor::{Device, FloatDType};
use serde::Serialize;

/// The floating-point types in which a device computes.
pub fn float_types(device: &Device) -> Vec<&'static str> {
    [("f32", FloatDType::F32), ("bf16", FloatDType::BF16), ("f16", FloatDType::F16)]
        .into_iter()
        .filter(|(_, dtype)| device.supports_dtype(*dtype))
        .map(|(name, _)| name)
        .collect()
}

/// A device of this machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// By which it is asked for.
    pub name: String,
    /// What the driver calls it; `None` for processors.
    pub hardware: Option<String>,
    /// Bytes that it may hold at once; `None` where the driver does not say.
    pub memory: Option<u64>,
    /// Floating-point types in which it computes.
    pub types: Vec<&'static str>,
}

/// All devices of this machine that this build can use.
///
/// Opens each, which may take seconds.
pub fn devices() -> Vec<Found> {
    let of = |backend: Backend| {
        let devices = backend.devices();
        devices.into_iter().enumerate().map(move |(index, device)| Found {
            name: if backend == Backend::Cpu { "cpu".to_owned() } else { format!("{backend}:{index}") },
            hardware: hardware(&device),
            memory: memory(&device),
            types: float_types(&device),
        })
    };
    Backend::ALL.into_iter().flat_map(of).collect()
}

#[cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm"))]
fn hardware(device: &Device) -> Option<String> {
    device.identity().map(|identity| identity.name)
}

#[cfg(not(any(feature = "wgpu", feature = "cuda", feature = "rocm")))]
fn hardware(_: &Device) -> Option<String> {
    None
}

#[cfg(any(feature = "wgpu", feature = "cuda", feature = "rocm"))]
pub(super) fn memory(device: &Device) -> Option<u64> {
    match device.as_dispatch() {
        burn::backend::DispatchDevice::Cube(device) => device.client().properties().memory.max_memory(),
        _ => None,
    }
}

#[cfg(not(any(feature = "wgpu", feature = "cuda", feature = "rocm")))]
pub(super) fn memory(_: &Device) -> Option<u64> {
    None
}
