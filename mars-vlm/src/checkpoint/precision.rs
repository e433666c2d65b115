//! How the frozen weights are kept in memory.
//!
//! Half precision and quantisation are for storage only. Rounding is to the nearest value, which is off by at most 2^-8 of it for
//! bf16 and 2^-11 for f16 (below 6.1e-5 by at most 2^-25), and by at most 1/254 of the largest value of a block of 32 for q8, 1/14
//! for q4.

use crate::Error;
use burn::tensor::quantization::QuantValue;
use burn::tensor::{DType, TensorData};
use half::{bf16, f16};
use mars_lora::ops::BLOCK;
use mars_lora::stored::Float;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Bytes of a scale for each weight of its block.
const SCALE: f64 = 4.0 / BLOCK as f64;

/// Type of the frozen matrices in memory: linear layers, embeddings and the output layer. What is computed with them,
/// and norms, biases, adapters and gradients are f32 whatever this is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 4 bytes for each weight.
    /// The default.
    #[default]
    F32,
    /// 2 bytes, the range of f32 with 8 significant bits; what is on disk as bf16 stays what it is.
    Bf16,
    /// 2 bytes with 11 significant bits, up to 65,504.
    F16,
    /// 9 bits: linear layers as whole numbers of 8 bits, with a scale in f32 for every 32 that follow each other; embeddings and the
    /// output layer in f32.
    Q8,
    /// 5 bits: as q8 with whole numbers from -7 to 7. The CPU keeps each in 8 bits.
    Q4,
}

impl Precision {
    /// Bytes of one weight of a linear layer, with its share of a scale; `packed` where four bits take no more than that.
    pub fn bytes(self, packed: bool) -> f64 {
        match self {
            Self::F32 => 4.0,
            Self::Bf16 | Self::F16 => 2.0,
            Self::Q4 if packed => 0.5 + SCALE,
            Self::Q8 | Self::Q4 => 1.0 + SCALE,
        }
    }

    /// The floating-point type of what is not quantised.
    #[must_use]
    pub fn floating(self) -> Self {
        match self {
            Self::Q8 | Self::Q4 => Self::F32,
            _ => self,
        }
    }

    /// The whole numbers of linear layers; `None` where they are not quantised.
    pub(crate) fn quantised(self) -> Option<QuantValue> {
        match self {
            Self::Q8 => Some(QuantValue::Q8S),
            Self::Q4 => Some(QuantValue::Q4S),
            _ => None,
        }
    }

    /// The type of burn's tensors that are not quantised.
    pub(crate) fn dtype(self) -> DType {
        match self {
            Self::F32 | Self::Q8 | Self::Q4 => DType::F32,
            Self::Bf16 => DType::BF16,
            Self::F16 => DType::F16,
        }
    }

    /// Values as they are kept.
    ///
    /// # Errors
    /// [`Error::TooLarge`] if one is too large for f16.
    pub(crate) fn keep(self, name: &str, values: Vec<f32>, shape: &[usize]) -> Result<TensorData, Error> {
        Ok(match self {
            Self::F32 | Self::Q8 | Self::Q4 => TensorData::new(values, shape),
            Self::Bf16 => TensorData::new(values.into_iter().map(bf16::from_f32).collect::<Vec<_>>(), shape),
            Self::F16 => {
                let largest =
                    values.iter().copied().filter(|v| v.is_finite()).map(f32::abs).fold(0.0, f32::max);
                fits(name, largest)?;
                TensorData::new(values.into_iter().map(f16::from_f32).collect::<Vec<_>>(), shape)
            }
        })
    }

    /// As [`keep`](Self::keep) from bytes on disk, without f32 in between.
    ///
    /// # Errors
    /// As [`keep`](Self::keep).
    pub(crate) fn keep_bytes(
        self,
        name: &str,
        (float, bytes): (Float, &[u8]),
        shape: &[usize],
    ) -> Result<TensorData, Error> {
        Ok(match self {
            Self::F32 | Self::Q8 | Self::Q4 => TensorData::new(convert(float, bytes, |v| v), shape),
            Self::Bf16 => TensorData::new(convert(float, bytes, bf16::from_f32), shape),
            Self::F16 => {
                let mut largest = 0.0f32;
                let narrow = |v: f32| {
                    if v.is_finite() {
                        largest = largest.max(v.abs());
                    }
                    f16::from_f32(v)
                };
                let values = convert(float, bytes, narrow);
                fits(name, largest)?;
                TensorData::new(values, shape)
            }
        })
    }
}

/// Whether the largest value of a tensor is at most 65,504 after rounding to f16.
fn fits(name: &str, largest: f32) -> Result<(), Error> {
    if largest < 65_520.0 {
        return Ok(());
    }
    Err(Error::TooLarge { name: name.to_string(), value: largest })
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Q8 => "q8",
            Self::Q4 => "q4",
        })
    }
}

/// The little-endian values in `bytes`, each through `make`.
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
