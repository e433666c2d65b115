use std::sync::OnceLock;

use super::{Amx, Emulator, agrees};
use crate::NoTiles;

/// Whether the tiles of AMX can be used, or why not: the processor has them, the operating system lets this process use
/// them, and small products are, to the bit, what the instruction is defined to give. Tried once in a process.
pub fn tiles() -> Result<(), NoTiles> {
    static TRIED: OnceLock<Result<(), NoTiles>> = OnceLock::new();
    *TRIED.get_or_init(|| {
        permission()?;
        if agrees::<Amx, Emulator>() { Ok(()) } else { Err(NoTiles::Differs) }
    })
}

#[cfg(all(target_arch = "x86_64", target_os = "linux", target_pointer_width = "64", not(miri)))]
use super::amx::permission;

#[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_pointer_width = "64", not(miri))))]
fn permission() -> Result<(), NoTiles> {
    Err(NoTiles::Platform)
}
