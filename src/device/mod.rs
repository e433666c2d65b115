//! Devices to compute on, by name.
mod backend;
mod found;
mod list;
mod name;

pub use backend::Backend;
pub use found::{Found, devices, float_types};
pub use list::{DeviceList, open};
pub use name::DeviceName;
