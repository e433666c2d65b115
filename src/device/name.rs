//! A device by its name.

use super::{
    backend::Backend,
    found::{float_types, memory},
};
use crate::Error;
use burn::tensor::Device;
use mars_vlm::checkpoint::Precision;
use std::fmt;

/// A device as it is asked for: `NAME` or `NAME:INDEX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceName {
    /// What computes.
    pub backend: Backend,
    /// Which of its devices, counted from 0.
    pub index: usize,
}

impl DeviceName {
    /// Reads a name.
    ///
    /// # Errors
    /// An error of usage for an unknown name, an index that is no number, and a back end that is not built in.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (name, index) = text.split_once(':').unwrap_or((text, "0"));
        let Some(backend) = Backend::ALL.into_iter().find(|backend| backend.name() == name) else {
            let names = Backend::ALL.map(Backend::name).join(", ");
            return Err(Error::usage(format!(
                "there is no device `{text}`; the names are {names}, with an index as in `cuda:1`"
            )));
        };
        let index = index.parse().map_err(|_| {
            Error::usage(format!(
                "device `{text}`: `{index}` is not an index; use `{name}:0`, `{name}:1`, .."
            ))
        })?;
        if !backend.is_built_in() {
            return Err(Error::usage(format!(
                "this build cannot compute on `{name}`; build it with the cargo feature `{name}`"
            )));
        }
        Ok(Self { backend, index })
    }

    /// The device.
    ///
    /// # Errors
    /// An error of usage where the machine has no such device.
    pub fn open(self) -> Result<Device, Error> {
        let Self { backend, index } = self;
        let devices = backend.devices();
        let count = devices.len();
        devices.into_iter().nth(index).ok_or_else(|| {
            let why = match count {
                0 => format!("it needs {}", backend.needs()),
                1 => format!("the only one is `{backend}:0`"),
                _ => format!("there are `{backend}:0` to `{backend}:{}`", count - 1),
            };
            Error::usage(format!("no device `{backend}:{index}` was found: {why}"))
        })
    }

    /// Bytes that the device may hold at once; `None` where its driver does not say.
    ///
    /// # Errors
    /// Those of [`open`](Self::open).
    pub fn memory(self) -> Result<Option<u64>, Error> {
        Ok(memory(&self.open()?))
    }

    /// The device, which must be able to keep matrices as `dtype`.
    ///
    /// # Errors
    /// Those of [`open`](Self::open); an error of usage for a type that the device does not have.
    pub fn open_for(self, dtype: Precision) -> Result<Device, Error> {
        let device = self.open()?;
        let types = float_types(&device);
        let wanted = dtype.floating().to_string();
        if types.contains(&wanted.as_str()) {
            return Ok(device);
        }
        Err(Error::usage(format!(
            "model.dtype is {wanted}, which `{}:{}` does not have; it has {}",
            self.backend,
            self.index,
            types.join(", ")
        )))
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.backend, self.index)
    }
}
