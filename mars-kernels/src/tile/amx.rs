//! The processor's tiles, by inline assembly: the intrinsics are unstable in Rust 1.95 (rust-lang/rust#126622), while
//! the registers may be named as clobbers.

use std::arch::{asm, x86_64::__cpuid_count};

use super::{Engine, Line, Program, STEP};
use crate::Unusable;

/// The tile registers of this thread, configured.
pub(crate) struct Amx(());

/// Eight tiles of 16 rows of 64 bytes.
static CONFIGURATION: Line = {
    let mut words = [0u16; STEP];
    words[0] = 1; // palette 1, start row 0
    let mut tile = 0;
    while tile < 8 {
        words[8 + tile] = 64; // from byte 16: bytes of a row, two bytes for each tile
        words[24 + tile / 2] = 16 | 16 << 8; // from byte 48: rows, one byte for each tile
        tile += 1;
    }
    Line(words)
};

/// Whether the processor has bf16 tiles and Linux lets this process use them. Asks for the permission, which then holds
/// for all threads.
pub(super) fn permission() -> Result<(), Unusable> {
    const TILE: u32 = 1 << 24;
    const BF16: u32 = 1 << 22;
    if __cpuid_count(0, 0).eax < 7 || __cpuid_count(7, 0).edx & (TILE | BF16) != TILE | BF16 {
        return Err(Unusable::Processor("amx-tile and amx-bf16"));
    }
    const OSXSAVE: u32 = 1 << 27;
    if __cpuid_count(1, 0).ecx & OSXSAVE == 0 {
        return Err(Unusable::NotSaved);
    }
    let saved: u32;
    // SAFETY: OSXSAVE says that XGETBV exists; it reads the register XCR0 only.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") saved, out("edx") _, options(nomem, nostack, preserves_flags));
    }
    // Tile configuration and tile data.
    if saved & (3 << 17) != 3 << 17 {
        return Err(Unusable::NotSaved);
    }
    let result: i64;
    // SAFETY: arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) reads and writes no memory of the process; a system
    // call changes rax, rcx and r11 only.
    unsafe {
        asm!("syscall", inlateout("rax") 158i64 => result, in("rdi") 0x1023, in("rsi") 18,
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    if result == 0 { Ok(()) } else { Err(Unusable::Refused(-result)) }
}

/// Assembles a loop of `$steps` steps over the instructions of one, whose sums begin with zero or with what is at `$to`.
macro_rules! assemble {
    (@ zero $t:literal $row:literal $at:literal) => { concat!("tilezero tmm", $t) };
    (@ there $t:literal $row:literal $at:literal) => { concat!("tileloadd tmm", $t, ", [{", $row, "} + {stride} + ", $at, "]") };
    (@ [load $t:literal m $at:literal]) => { concat!("tileloadd tmm", $t, ", [{m} + {line} + ", $at, "]") };
    (@ [load $t:literal w $at:literal]) => { concat!("tileloadd tmm", $t, ", [{w} + {line} + ", $at, "]") };
    (@ [dot $d:literal $a:literal $b:literal]) => { concat!("tdpbf16ps tmm", $d, ", tmm", $a, ", tmm", $b) };
    (($program:ident $begin:ident $moving:ident $weights:ident $steps:ident $to:ident $stride:ident) $($instruction:tt)*) => {
        asm!(
            assemble!(@ $begin 0 "to" 0),
            assemble!(@ $begin 1 "to" 64),
            assemble!(@ $begin 2 "below" 0),
            assemble!(@ $begin 3 "below" 64),
            "2:",
            $(assemble!(@ $instruction),)*
            "add {m}, {m_step}",
            "add {w}, {w_step}",
            "dec {steps}",
            "jnz 2b",
            "tilestored [{to} + {stride}], tmm0",
            "tilestored [{to} + {stride} + 64], tmm1",
            "tilestored [{below} + {stride}], tmm2",
            "tilestored [{below} + {stride} + 64], tmm3",
            m = inout(reg) $moving.as_ptr() => _,
            w = inout(reg) $weights.as_ptr() => _,
            steps = inout(reg) $steps => _,
            m_step = const Program::$program.moving() * 64,
            w_step = const Program::$program.weights() * 64,
            line = in(reg) 64usize,
            to = in(reg) $to,
            below = in(reg) $to.add(16 * $stride),
            stride = in(reg) $stride * 4,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

impl Engine for Amx {
    /// To be called only where [`permission`] was given; else the processor raises an exception.
    fn configure() -> Self {
        // SAFETY: reads the 64 bytes of `CONFIGURATION`; the compiler keeps nothing in tile registers.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) &CONFIGURATION, options(nostack, readonly, preserves_flags))
        };
        Self(())
    }

    unsafe fn block(
        &mut self,
        program: Program,
        moving: &[Line],
        weights: &[Line],
        _rows: usize,
        to: *mut f32,
        stride: usize,
    ) {
        let steps = steps(program, moving, weights);
        // SAFETY: reads `steps` times the lines of a step from both slices, which have them; writes 16 values at each
        // of four times 16 rows, which the caller may. `Self` exists, so the tiles are configured on this thread:
        // it is made and released within one task, and not sent.
        unsafe {
            match program {
                Program::One => one!(assemble, One zero moving weights steps to stride),
                Program::Two => two!(assemble, Two zero moving weights steps to stride),
                Program::Three => three!(assemble, Three zero moving weights steps to stride),
            }
        }
    }

    unsafe fn add(
        &mut self,
        program: Program,
        moving: &[Line],
        weights: &[Line],
        to: *mut f32,
        stride: usize,
    ) {
        let steps = steps(program, moving, weights);
        // SAFETY: as in `block`; what is written is read before, which the caller allows.
        unsafe {
            match program {
                Program::One => one!(assemble, One there moving weights steps to stride),
                Program::Two => two!(assemble, Two there moving weights steps to stride),
                Program::Three => three!(assemble, Three there moving weights steps to stride),
            }
        }
    }

    fn release(self) {
        // SAFETY: touches tile registers only.
        unsafe { asm!("tilerelease", options(nostack, nomem, preserves_flags)) };
    }
}

/// Steps of operands, which have the same and at least one.
fn steps(program: Program, moving: &[Line], weights: &[Line]) -> usize {
    let steps = moving.len() / program.moving();
    assert!(steps > 0 && weights.len() / program.weights() == steps, "operands have the same steps");
    steps
}
