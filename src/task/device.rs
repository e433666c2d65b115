//! Devices to compute on, by name.

use crate::Error;
use burn::tensor::Device;

/// Devices that this build can compute on.
pub const DEVICES: [&str; 1] = ["cpu"];

/// The device that a name stands for.
///
/// # Errors
/// An error of usage for a name that is not in [`DEVICES`].
pub fn device(name: &str) -> Result<Device, Error> {
    if DEVICES.contains(&name) {
        return Ok(Device::flex());
    }
    Err(Error::usage(format!("there is no device `{name}`; this build can use {}", DEVICES.join(", "))))
}
