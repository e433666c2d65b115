//! Tiles of 16 rows of 64 bytes, and the engines that multiply them: the processor's, and one in plain Rust that is
//! tested in its place.

// First, for its macros.
#[macro_use]
mod program;

#[cfg(all(target_arch = "x86_64", target_os = "linux", target_pointer_width = "64", not(miri)))]
mod amx;
mod check;
mod emulator;
mod permission;

pub(crate) use check::agrees;
pub(crate) use emulator::Emulator;
pub use permission::tiles;
pub(crate) use program::Program;

#[cfg(all(target_arch = "x86_64", target_os = "linux", target_pointer_width = "64", not(miri)))]
pub(crate) use amx::Amx;
/// Never asked for: [`tiles`] refuses on other platforms.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_pointer_width = "64", not(miri))))]
pub(crate) use emulator::Emulator as Amx;

/// bf16 values in a row of a tile: the steps in k that one instruction takes.
pub(crate) const STEP: usize = 32;
/// Rows and columns of a block of results: two tiles each way.
pub(crate) const BLOCK: usize = 32;

/// A row of a tile.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Line(pub(crate) [u16; STEP]);

impl Line {
    pub(crate) const ZERO: Self = Self([0; STEP]);
}

/// What multiplies tiles on one thread.
pub(crate) trait Engine {
    /// Configures eight tiles of 16 rows of 64 bytes on this thread, until [`Engine::release`].
    fn configure() -> Self;

    /// Runs `program` over all steps and writes 32 x 32 sums: row r to `to + r * stride`.
    ///
    /// `moving` has [`Program::moving`] lines and `weights` [`Program::weights`] lines for each step, at least one.
    ///
    /// # Safety
    /// 32 values must be writable at each of the 32 rows.
    unsafe fn block(
        &mut self,
        program: Program,
        moving: &[Line],
        weights: &[Line],
        to: *mut f32,
        stride: usize,
    );

    /// Gives the tiles back.
    fn release(self);
}
