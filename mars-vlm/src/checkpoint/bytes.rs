//! Floating-point values as they lie in safetensors files.

use half::{bf16, f16};
use safetensors::Dtype;

/// `bytes` through `make`, or nothing if `dtype` is no floating-point type that checkpoints use.
pub(crate) fn convert<T>(dtype: Dtype, bytes: &[u8], mut make: impl FnMut(f32) -> T) -> Option<Vec<T>> {
    let pairs = || bytes.chunks_exact(2).map(|b| [b[0], b[1]]);
    Some(match dtype {
        Dtype::F32 => {
            bytes.chunks_exact(4).map(|b| make(f32::from_le_bytes([b[0], b[1], b[2], b[3]]))).collect()
        }
        Dtype::F16 => pairs().map(|b| make(f16::from_le_bytes(b).to_f32())).collect(),
        Dtype::BF16 => pairs().map(|b| make(bf16::from_le_bytes(b).to_f32())).collect(),
        Dtype::F64 => {
            let words = bytes.chunks_exact(8).filter_map(|b| b.try_into().ok());
            words.map(|b| make(f64::from_le_bytes(b) as f32)).collect()
        }
        _ => return None,
    })
}
