//! Floating-point values as they lie in safetensors files.

use half::{bf16, f16};
use mars_lora::stored::Float;

/// `bytes` through `make`.
pub(crate) fn convert<T>(float: Float, bytes: &[u8], mut make: impl FnMut(f32) -> T) -> Vec<T> {
    let pairs = || bytes.chunks_exact(2).map(|b| [b[0], b[1]]);
    match float {
        Float::F32 => {
            bytes.chunks_exact(4).map(|b| make(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
        }
        Float::F16 => pairs().map(|b| make(f16::from_le_bytes(b).to_f32())).collect(),
        Float::BF16 => pairs().map(|b| make(bf16::from_le_bytes(b).to_f32())).collect(),
        Float::F64 => {
            let words = bytes.chunks_exact(8).filter_map(|b| b.try_into().ok());
            words.map(|b| make(f64::from_le_bytes(b) as f32)).collect()
        }
    }
}
