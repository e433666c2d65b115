//! Floating-point types of tensors on disk.

use half::{bf16, f16};
use serde::{Deserialize, Serialize};

/// A floating-point type that weights are stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Float {
    /// IEEE single precision.
    F32,
    /// IEEE half precision.
    F16,
    /// The upper half of single precision.
    BF16,
    /// IEEE double precision.
    F64,
}

impl Float {
    /// The type that a safetensors header calls `name`, if it is one of these.
    pub fn from_header(name: &str) -> Option<Self> {
        Some(match name {
            "F32" => Self::F32,
            "F16" => Self::F16,
            "BF16" => Self::BF16,
            "F64" => Self::F64,
            _ => return None,
        })
    }

    /// The name in safetensors headers.
    pub fn header_name(self) -> &'static str {
        match self {
            Self::F32 => "F32",
            Self::F16 => "F16",
            Self::BF16 => "BF16",
            Self::F64 => "F64",
        }
    }

    /// The name in `config.json`.
    pub fn torch_name(self) -> &'static str {
        match self {
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::BF16 => "bfloat16",
            Self::F64 => "float64",
        }
    }

    /// Bytes of one value.
    /// 8, 4 or 2.
    pub fn size(self) -> usize {
        match self {
            Self::F16 | Self::BF16 => 2,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    /// Values from their bytes.
    pub(crate) fn decode(self, bytes: &[u8]) -> Vec<f64> {
        let pairs = || bytes.chunks_exact(2).map(|b| [b[0], b[1]]);
        match self {
            Self::F16 => pairs().map(|b| f16::from_le_bytes(b).to_f64()).collect(),
            Self::BF16 => pairs().map(|b| bf16::from_le_bytes(b).to_f64()).collect(),
            Self::F32 => bytes
                .chunks_exact(4)
                .map(|b| f64::from(f32::from_le_bytes([b[0], b[1], b[2], b[3]])))
                .collect(),
            Self::F64 => {
                bytes.chunks_exact(8).filter_map(|b| b.try_into().ok()).map(f64::from_le_bytes).collect()
            }
        }
    }

    /// Appends the bytes of `values`, rounded to nearest; false if a finite value became infinite.
    /// Half-precision types are rounded by way of f32, ties to even. Values that are not finite are kept and do
    /// not count.
    pub(crate) fn encode(self, values: &[f64], bytes: &mut Vec<u8>) -> bool {
        let mut fits = true;
        bytes.reserve(values.len() * self.size());
        for &value in values {
            let finite = match self {
                Self::F64 => {
                    bytes.extend(value.to_le_bytes());
                    true
                }
                Self::F32 => {
                    let rounded = value as f32;
                    bytes.extend(rounded.to_le_bytes());
                    rounded.is_finite()
                }
                // By way of f32, as every framework rounds that computes in it.
                Self::F16 => {
                    let rounded = f16::from_f32(value as f32);
                    bytes.extend(rounded.to_le_bytes());
                    rounded.is_finite()
                }
                Self::BF16 => {
                    let rounded = bf16::from_f32(value as f32);
                    bytes.extend(rounded.to_le_bytes());
                    rounded.is_finite()
                }
            };
            fits &= finite || !value.is_finite();
        }
        fits
    }
}

impl std::str::FromStr for Float {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = [Self::F32, Self::F16, Self::BF16, Self::F64];
        let names =
            |float: &Self| text.eq_ignore_ascii_case(float.header_name()) || text == float.torch_name();
        all.into_iter().find(names).ok_or_else(|| format!("`{text}` is not one of f32, f16, bf16, f64"))
    }
}

impl std::fmt::Display for Float {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.header_name().to_lowercase())
    }
}
