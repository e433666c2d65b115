//! Floating-point values as they lie in safetensors files.

use half::{bf16, f16};
use mars_lora::stored::Float;

/// `bytes` as f32.
pub(crate) fn to_f32(float: Float, bytes: &[u8]) -> Vec<f32> {
    let pairs = || bytes.chunks_exact(2).map(|b| [b[0], b[1]]);
    match float {
        Float::F32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        Float::F16 => pairs().map(|b| f16::from_le_bytes(b).to_f32()).collect(),
        Float::BF16 => pairs().map(|b| bf16::from_le_bytes(b).to_f32()).collect(),
        Float::F64 => {
            let words = bytes.chunks_exact(8).filter_map(|b| b.try_into().ok());
            words.map(|b| f64::from_le_bytes(b) as f32).collect()
        }
    }
}
