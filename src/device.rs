//! Devices to compute on, by name.

use crate::Error;
use burn::tensor::{Device, DeviceType, FloatDType};
use mars_vlm::checkpoint::Precision;
use serde::Serialize;
use std::fmt;

/// What computes: a back end of burn, with the name by which it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// Processors, by burn's flex.
    Cpu,
    /// GPUs by the graphics interface that the system offers, with shaders in WGSL where no other feature is built in.
    Wgpu,
    /// GPUs by Vulkan, with shaders in SPIR-V.
    Vulkan,
    /// Apple's GPUs by Metal.
    Metal,
    /// NVIDIA's GPUs.
    Cuda,
    /// AMD's GPUs by HIP.
    Rocm,
}

impl Backend {
    /// All that can be built in, the default first.
    pub const ALL: [Self; 6] = [Self::Cpu, Self::Wgpu, Self::Vulkan, Self::Metal, Self::Cuda, Self::Rocm];

    /// The name, which is that of the cargo feature too.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::Vulkan => "vulkan",
            Self::Metal => "metal",
            Self::Cuda => "cuda",
            Self::Rocm => "rocm",
        }
    }

    /// Whether this build has it.
    pub fn is_built_in(self) -> bool {
        self.kind().is_some()
    }

    /// The devices that it finds on this machine, in the order of their indices; none where it is not built in.
    ///
    /// GPUs before processors that act as one. Asks the drivers, which may take a second.
    pub fn devices(self) -> Vec<Device> {
        self.kind().map_or_else(Vec::new, |kind| Device::enumerate(kind).into_iter().collect())
    }

    fn kind(self) -> Option<DeviceType> {
        match self {
            #[cfg(feature = "cpu")]
            Self::Cpu => Some(DeviceType::Flex),
            #[cfg(feature = "wgpu")]
            Self::Wgpu => Some(DeviceType::Wgpu),
            #[cfg(feature = "vulkan")]
            Self::Vulkan => Some(DeviceType::Vulkan),
            #[cfg(feature = "metal")]
            Self::Metal => Some(DeviceType::Metal),
            #[cfg(feature = "cuda")]
            Self::Cuda => Some(DeviceType::Cuda),
            #[cfg(feature = "rocm")]
            Self::Rocm => Some(DeviceType::Rocm),
            #[allow(unreachable_patterns)]
            _ => None,
        }
    }

    /// What must be installed for it to find something.
    pub fn needs(self) -> &'static str {
        match self {
            Self::Cpu => "nothing but a processor",
            Self::Wgpu => "a driver for Vulkan (`vulkaninfo` must list the GPU), Metal or DirectX 12",
            Self::Vulkan => "a driver for Vulkan; `vulkaninfo` must list the GPU",
            Self::Metal => "macOS on a machine with Metal",
            Self::Cuda => "NVIDIA's driver and NVRTC of the CUDA toolkit; `nvidia-smi` must list the GPU",
            Self::Rocm => "AMD's ROCm; `rocminfo` must list the GPU",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

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
            Error::usage(format!("device `{text}`: `{index}` is no index; write `{name}:0`, `{name}:1`, .."))
        })?;
        if !backend.is_built_in() {
            return Err(Error::usage(format!(
                "this build cannot compute on `{name}`; build one that can with `cargo build --release -p mars-cli --features {name}`"
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
            Error::usage(format!("no device `{backend}:{index}` was found: {why}; `mars devices` lists all"))
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

/// The device that a name stands for, for a model whose matrices are kept as `dtype`.
///
/// # Errors
/// Those of [`DeviceName::parse`] and [`DeviceName::open_for`].
pub fn open(name: &str, dtype: Precision) -> Result<Device, Error> {
    DeviceName::parse(name)?.open_for(dtype)
}

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
fn memory(device: &Device) -> Option<u64> {
    match device.as_dispatch() {
        burn::backend::DispatchDevice::Cube(device) => device.client().properties().memory.max_memory(),
        _ => None,
    }
}

#[cfg(not(any(feature = "wgpu", feature = "cuda", feature = "rocm")))]
fn memory(_: &Device) -> Option<u64> {
    None
}
