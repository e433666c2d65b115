use std::fmt;

use crate::{
    Compute, Unusable,
    tile::{dot_products, is_amd, tiles},
};

/// What a product is computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kernel {
    /// The product in f32 of the crate `gemm`: vectors of the processor at hand.
    F32,
    /// The bf16 tiles of AMX (`TDPBF16PS`).
    Tiles,
    /// The bf16 dot products of AVX-512 (`VDPBF16PS`).
    DotProducts,
    /// The tile instructions in plain Rust, for tests: some hundred times slower.
    Emulator,
}

impl Kernel {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::F32, Self::Tiles, Self::DotProducts, Self::Emulator];

    /// Whether it can be used, or why not: the processor has the instructions, the operating system lets this process use
    /// them, and small products are, to the bit, what the emulator computes. Tried once in a process.
    ///
    /// # Errors
    /// The reason.
    pub fn usable(self) -> Result<(), Unusable> {
        match self {
            Self::F32 | Self::Emulator => Ok(()),
            Self::Tiles => tiles(),
            Self::DotProducts => dot_products(),
        }
    }

    /// The fastest kernel of this processor for products in `compute`: for bf16 tiles, else, on a processor of AMD, dot products. On
    /// others with AVX512_BF16 one of these takes as long as two products in f32.
    ///
    /// # Errors
    /// Why there is none.
    pub fn of(compute: Compute) -> Result<Self, Unusable> {
        let tiles = || Self::Tiles.usable().map(|()| Self::Tiles);
        match compute {
            Compute::F32 => Ok(Self::F32),
            Compute::Bf16x2 | Compute::Bf16 if is_amd() => {
                tiles().or_else(|_| Self::DotProducts.usable().map(|()| Self::DotProducts))
            }
            Compute::Bf16x2 | Compute::Bf16 => tiles(),
        }
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::Tiles => "amx-bf16",
            Self::DotProducts => "avx512-bf16",
            Self::Emulator => "emulator",
        })
    }
}
