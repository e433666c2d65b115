//! Floating-point values as they lie in safetensors files.

use half::{bf16, f16};
use safetensors::Dtype;

/// `bytes` as f32, or nothing if `dtype` is no floating-point type that checkpoints use.
pub(crate) fn to_f32(dtype: Dtype, bytes: &[u8]) -> Option<Vec<f32>> {
    let pairs = || bytes.chunks_exact(2).map(|b| [b[0], b[1]]);
    Some(match dtype {
        Dtype::F32 => bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
        Dtype::F16 => pairs().map(|b| f16::from_le_bytes(b).to_f32()).collect(),
        Dtype::BF16 => pairs().map(|b| bf16::from_le_bytes(b).to_f32()).collect(),
        Dtype::F64 => {
            let words = bytes.chunks_exact(8).filter_map(|b| b.try_into().ok());
            words.map(|b| f64::from_le_bytes(b) as f32).collect()
        }
        _ => return None,
    })
}
