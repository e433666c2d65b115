use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::Error;

/// The arithmetic of a product with a frozen weight.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compute {
    /// f32 throughout.
    #[default]
    F32,
    /// The moving operand as a sum of two bf16, sums in f32. A weight that is not exactly bf16 is a sum of two as well.
    /// The relative error of a term is at most 3 * 2^-16, at most 2^-16 where the weight is exactly bf16.
    Bf16x2,
    /// Both operands rounded to bf16, sums in f32. The relative error of a term is at most 2^-7, at most 2^-8 where the
    /// weight is exactly bf16.
    Bf16,
}

impl Compute {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F32, Self::Bf16x2, Self::Bf16];

    /// Its name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16x2 => "bf16x2",
            Self::Bf16 => "bf16",
        }
    }
}

impl fmt::Display for Compute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Compute {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|compute| compute.name() == text);
        known.ok_or_else(|| Error::UnknownCompute(text.to_owned()))
    }
}
