//! Back ends of burn, by name.

use burn::tensor::{Device, DeviceType};
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
