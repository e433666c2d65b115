//! Several devices of one kind that share the work.

use super::{backend::Backend, name::DeviceName};
use crate::Error;
use burn::tensor::Device;
use mars_vlm::checkpoint::Precision;

/// Devices as they are asked for: `NAME[:INDEX]`, or several of one kind with commas between them.
///
/// Each holds the model once for each time that it is named, and trains runs of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceList {
    first: DeviceName,
    more: Vec<DeviceName>,
}

impl DeviceList {
    /// Reads names.
    ///
    /// # Errors
    /// Those of [`DeviceName::parse`], and an error of usage for devices of more than one kind.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let mut names = text.split(',').map(|name| DeviceName::parse(name.trim()));
        let first = names.next().unwrap_or_else(|| DeviceName::parse(text))?;
        let more = names.collect::<Result<Vec<_>, _>>()?;
        match more.iter().find(|name| name.backend != first.backend) {
            // Runs of one campaign are compared with each other: no two back ends round alike.
            Some(other) => Err(Error::usage(format!(
                "devices `{text}`: all must be of one kind, and `{other}` is of another than the first"
            ))),
            None => Ok(Self { first, more }),
        }
    }

    /// The devices by name, at least one.
    pub fn names(&self) -> impl Iterator<Item = DeviceName> {
        std::iter::once(self.first).chain(self.more.iter().copied())
    }

    /// How many there are, those named twice counted twice.
    pub fn count(&self) -> usize {
        1 + self.more.len()
    }

    /// What computes.
    pub fn backend(&self) -> Backend {
        self.first.backend
    }

    /// The devices, which must be able to keep matrices as `dtype`; at least one.
    ///
    /// # Errors
    /// Those of [`DeviceName::open_for`].
    pub fn open_for(&self, dtype: Precision) -> Result<Vec<Device>, Error> {
        self.names().map(|name| name.open_for(dtype)).collect()
    }

    /// Bytes that the least of the devices may hold for each time that it is named; `None` where no driver says.
    ///
    /// # Errors
    /// Those of [`DeviceName::open`].
    pub fn memory(&self) -> Result<Option<u64>, Error> {
        let mut least = None;
        for name in self.names() {
            let times = self.names().filter(|other| *other == name).count() as u64;
            let share = name.memory()?.map(|bytes| bytes / times);
            least = match (least, share) {
                (Some(a), Some(b)) => Some(u64::min(a, b)),
                (one, other) => one.or(other),
            };
        }
        Ok(least)
    }
}

/// The first device that `text` names, for a model whose matrices are kept as `dtype`.
///
/// # Errors
/// Those of [`DeviceList::parse`] and [`DeviceName::open_for`].
pub fn open(text: &str, dtype: Precision) -> Result<Device, Error> {
    DeviceList::parse(text)?.first.open_for(dtype)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::DeviceList;

    #[test]
    fn a_list_is_read_name_by_name() {
        let list = DeviceList::parse("cpu, cpu:0,cpu:3").unwrap();
        let names: Vec<String> = list.names().map(|name| name.to_string()).collect();
        assert_eq!(names, ["cpu:0", "cpu:0", "cpu:3"]);
        for wrong in ["", ",", "cpu,", "cpu,,cpu", "cpu;cpu", "cpu,gpu"] {
            assert!(DeviceList::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[cfg(feature = "wgpu")]
    #[test]
    fn devices_of_two_kinds_are_refused() {
        let error = DeviceList::parse("cpu,wgpu:0").unwrap_err().to_string();
        assert!(error.contains("`wgpu:0` is of another"), "{error}");
    }
}
