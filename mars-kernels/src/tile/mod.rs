//! Tiles of 16 rows of 64 bytes, and the engines that multiply them: two of processors, and one in plain Rust that is tested
//! in place of the first and against both.

// First, for its macros.
#[macro_use]
mod program;

#[cfg(all(target_arch = "x86_64", target_os = "linux", target_pointer_width = "64", not(miri)))]
mod amx;
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx512;
mod check;
mod emulator;
#[cfg(all(test, target_arch = "x86_64", target_os = "linux", target_pointer_width = "64", not(miri)))]
mod interpreter;
mod rounding;
mod usable;

pub(crate) use check::agrees;
pub(crate) use emulator::Emulator;
pub(crate) use program::Program;
#[cfg(test)]
pub(crate) use rounding::Integers;
pub(crate) use rounding::{Rounded, Rounding, rounded};
pub(crate) use usable::{dot_products, is_amd, tiles};

#[cfg(all(target_arch = "x86_64", target_os = "linux", target_pointer_width = "64", not(miri)))]
pub(crate) use amx::Amx;
#[cfg(all(target_arch = "x86_64", not(miri)))]
pub(crate) use avx512::Avx512;
/// Never asked for: [`tiles`] refuses on other platforms.
#[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_pointer_width = "64", not(miri))))]
pub(crate) use emulator::Emulator as Amx;
/// Never asked for: [`dot_products`] refuses on other platforms.
#[cfg(not(all(target_arch = "x86_64", not(miri))))]
pub(crate) use emulator::Emulator as Avx512;

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

/// The sums of a block, where they do not go to the result at once.
#[repr(align(64))]
pub(crate) struct Sums(pub(crate) [f32; BLOCK * BLOCK]);

impl Sums {
    pub(crate) const ZERO: Self = Self([0.0; BLOCK * BLOCK]);
}

/// What multiplies blocks of tiles on one thread.
pub(crate) trait Engine {
    /// Prepares this thread, until [`Engine::release`].
    fn configure() -> Self;

    /// Runs `program` over all steps and writes 32 sums to each of the first `rows` rows, 1 to 32 of them, and possibly to later
    /// ones of the 32: row r to `to + r * stride`.
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
        rows: usize,
        to: *mut f32,
        stride: usize,
    );

    /// Runs `program` over all steps, as [`block`](Self::block) does, and adds its sums to 32 values of each of 32 rows, row r at
    /// `to + r * stride`.
    ///
    /// # Safety
    /// These values must be initialised, writable, and not accessed by others.
    unsafe fn add(
        &mut self,
        program: Program,
        moving: &[Line],
        weights: &[Line],
        to: *mut f32,
        stride: usize,
    ) {
        let mut sums = Sums::ZERO;
        // SAFETY: `sums` has 32 rows of 32 values.
        unsafe { self.block(program, moving, weights, BLOCK, sums.0.as_mut_ptr(), BLOCK) };
        for (r, sums) in sums.0.as_chunks::<BLOCK>().0.iter().enumerate() {
            // SAFETY: the values of a row that the caller named.
            let row = unsafe { &mut *to.add(r * stride).cast::<[f32; BLOCK]>() };
            row.iter_mut().zip(sums).for_each(|(to, sum)| *to += sum);
        }
    }

    /// Gives back what the thread was prepared with.
    fn release(self);
}
