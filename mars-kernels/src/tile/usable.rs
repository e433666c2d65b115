//! Which engines of the processor can be used.

use std::sync::OnceLock;

use super::{Amx, Avx512, Emulator, agrees};
use crate::Unusable;

/// Whether the tiles of AMX can be used, or why not.
pub(crate) fn tiles() -> Result<(), Unusable> {
    static TRIED: OnceLock<Result<(), Unusable>> = OnceLock::new();
    *TRIED.get_or_init(|| {
        permission()?;
        if agrees::<Amx, Emulator>() { Ok(()) } else { Err(Unusable::Differs) }
    })
}

/// Whether the dot products of AVX512_BF16 can be used, or why not.
pub(crate) fn dot_products() -> Result<(), Unusable> {
    static TRIED: OnceLock<Result<(), Unusable>> = OnceLock::new();
    *TRIED.get_or_init(|| {
        detected()?;
        if agrees::<Avx512, Emulator>() { Ok(()) } else { Err(Unusable::Differs) }
    })
}

#[cfg(all(target_arch = "x86_64", target_os = "linux", target_pointer_width = "64", not(miri)))]
use super::amx::permission;

#[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_pointer_width = "64", not(miri))))]
fn permission() -> Result<(), Unusable> {
    Err(Unusable::Platform)
}

#[cfg(all(target_arch = "x86_64", not(miri)))]
use super::avx512::{detected, made_by_amd};

/// Whether AMD made the processor.
#[cfg(all(target_arch = "x86_64", not(miri)))]
pub(crate) fn is_amd() -> bool {
    made_by_amd()
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
fn detected() -> Result<(), Unusable> {
    Err(Unusable::Platform)
}

#[cfg(not(all(target_arch = "x86_64", not(miri))))]
pub(crate) fn is_amd() -> bool {
    false
}
