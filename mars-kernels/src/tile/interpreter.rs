//! AMX on processors without it: the signal of an illegal instruction is answered by decoding the instruction, as Intel's
//! manual lays it out (volume 2, LDTILECFG to TILEZERO), and by computing it on the emulator's tiles. So tests run the
//! machine code of [`Amx`](super::Amx) on every processor, slowly.

use std::{cell::RefCell, mem::zeroed, ptr::null_mut};

use libc::{REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15, REG_RIP};
use libc::{REG_RAX, REG_RBP, REG_RBX, REG_RCX, REG_RDI, REG_RDX, REG_RSI, REG_RSP};
use libc::{SA_NODEFER, SA_SIGINFO, SIGILL, c_int, c_void, sigaction, siginfo_t, ucontext_t};

use super::{Emulator, Engine, Line};

/// Where the context keeps registers 0 to 15.
const REGISTERS: [c_int; 16] = [
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI, REG_R8, REG_R9, REG_R10, REG_R11,
    REG_R12, REG_R13, REG_R14, REG_R15,
];

/// The tiles of a thread.
struct Tiles {
    /// While they are configured.
    configured: Option<Emulator>,
    /// How many instructions were interpreted.
    instructions: usize,
}

thread_local! {
    static TILES: RefCell<Tiles> = const { RefCell::new(Tiles { configured: None, instructions: 0 }) };
}

/// Interprets AMX in this process from now on.
pub(super) fn install() {
    // SAFETY: an action of zeros is valid, and `answer` has the signature that SA_SIGINFO asks for.
    let done = unsafe {
        let mut action: sigaction = zeroed();
        action.sa_sigaction = answer as *const () as usize;
        action.sa_flags = SA_SIGINFO | SA_NODEFER;
        sigaction(SIGILL, &raw const action, null_mut())
    };
    assert_eq!(done, 0);
}

/// How many instructions this thread has had interpreted.
pub(super) fn instructions() -> usize {
    TILES.with_borrow(|tiles| tiles.instructions)
}

/// A panic in here ends the process, with its message.
extern "C" fn answer(_: c_int, _: *mut siginfo_t, context: *mut c_void) {
    // SAFETY: the context of the code that was interrupted, for as long as this runs.
    let registers = unsafe { &mut (*context.cast::<ucontext_t>()).uc_mcontext.gregs };
    // SAFETY: instructions of tiles are never the last ones of a program, so that 16 bytes can be read.
    let code = unsafe { *(registers[REG_RIP as usize] as *const [u8; 16]) };
    let (operation, length) = decode(&code, |register| registers[REGISTERS[register] as usize] as usize);
    TILES.with_borrow_mut(|tiles| {
        // SAFETY: the interrupted code is about to access what its instruction says.
        unsafe { operation.run(&mut tiles.configured) };
        tiles.instructions += 1;
    });
    registers[REG_RIP as usize] += length as i64;
}

enum Operation {
    Configure { from: usize },
    Release,
    Zero { tile: usize },
    Load { tile: usize, from: usize, stride: usize },
    Store { tile: usize, to: usize, stride: usize },
    Dot { sums: usize, left: usize, right: usize },
}

/// What the instruction at the start of `code` does, and its length in bytes.
fn decode(code: &[u8; 16], register: impl Fn(usize) -> usize) -> (Operation, usize) {
    let [0xc4, first, second, opcode, modrm, ..] = *code else {
        panic!("no VEX prefix of three bytes: {code:02x?}")
    };
    // R, X, B and vvvv are inverted. Then W, L and the prefix that is implied: none, 66, F3, F2.
    let [r, x, b] = [7, 6, 5].map(|bit| usize::from(!first >> bit & 1) << 3);
    assert_eq!(
        (first & 31, second >> 7, second >> 2 & 1),
        (2, 0, 0),
        "not map 0F38, W0, 128 bits: {code:02x?}"
    );
    let (v, prefix) = (usize::from(!second >> 3 & 15), second & 3);
    let (mode, reg, rm) = (modrm >> 6, usize::from(modrm >> 3 & 7) | r, usize::from(modrm & 7));
    assert!(reg < 8 && v < 8, "there are eight tiles: {code:02x?}");
    if mode == 3 {
        let operation = match (opcode, prefix, reg, rm | b, v) {
            (0x49, 0, 0, 0, 0) => Operation::Release,
            (0x49, 3, tile, 0, 0) => Operation::Zero { tile },
            (0x5c, 2, sums, left @ 0..8, right) => Operation::Dot { sums, left, right },
            _ => panic!("not known: {code:02x?}"),
        };
        return (operation, 5);
    }
    // A SIB byte follows where rm is 4, then a displacement of 0, 1 or 4 bytes.
    let (base, index, place) = if rm == 4 {
        let sib = code[5];
        let index = usize::from(sib >> 3 & 7) | x;
        let index = if index == 4 { None } else { Some(register(index) << (sib >> 6)) };
        (usize::from(sib & 7), index, 6)
    } else {
        (rm, None, 5)
    };
    assert!(mode != 0 || base != 5, "an address without a base: {code:02x?}");
    let (displacement, length) = match mode {
        0 => (0, place),
        1 => (code[place].cast_signed() as isize, place + 1),
        _ => (i32::from_le_bytes(std::array::from_fn(|i| code[place + i])) as isize, place + 4),
    };
    let address = register(base | b).wrapping_add_signed(displacement);
    assert_eq!(v, 0, "{code:02x?}");
    let operation = match (opcode, prefix, reg, index) {
        (0x49, 0, 0, _) => Operation::Configure { from: address.wrapping_add(index.unwrap_or(0)) },
        // These need the SIB byte, whose index is the distance of rows.
        (0x4b, 3, tile, Some(stride)) => Operation::Load { tile, from: address, stride },
        (0x4b, 2, tile, Some(stride)) => Operation::Store { tile, to: address, stride },
        _ => panic!("not known: {code:02x?}"),
    };
    (operation, length)
}

impl Operation {
    /// # Safety
    /// The memory that the operation names must be there.
    unsafe fn run(self, tiles: &mut Option<Emulator>) {
        if let Self::Configure { from } = self {
            // SAFETY: as the caller says.
            check(unsafe { &*(from as *const [u8; 64]) });
            *tiles = Some(Emulator::configure());
            return;
        }
        let Some(emulator) = tiles else { panic!("tiles are not configured on this thread") };
        match self {
            Self::Configure { .. } => {}
            Self::Release => *tiles = None,
            Self::Zero { tile } => emulator.zero(tile),
            Self::Load { tile, from, stride } => {
                // SAFETY: as the caller says.
                let row = |r: usize| Line(unsafe { *((from + r * stride) as *const [u16; 32]) });
                emulator.load(tile, &std::array::from_fn::<_, 16, _>(row));
            }
            Self::Store { tile, to, stride } => {
                assert_eq!(stride % 4, 0);
                // SAFETY: as the caller says.
                unsafe { emulator.store(tile, to as *mut f32, stride / 4) };
            }
            Self::Dot { sums, left, right } => {
                assert!(sums != left && sums != right && left != right, "the tiles of a product differ");
                emulator.dot(sums, left, right);
            }
        }
    }
}

/// The emulator has eight tiles of 16 rows of 64 bytes: the configuration must say so, and its reserved bytes be 0.
fn check(configuration: &[u8; 64]) {
    let mut expected = [0; 64];
    expected[0] = 1;
    (16..32).step_by(2).for_each(|at| expected[at] = 64);
    expected[48..56].fill(16);
    assert_eq!(configuration, &expected);
}

#[test]
fn the_machine_code_of_tiles_computes_what_the_emulator_does() {
    use super::{Amx, agrees, amx::permission};
    let interpreted = permission().is_err();
    if interpreted {
        install();
    }
    assert!(agrees::<Amx, Emulator>());
    assert_eq!(instructions() > 0, interpreted);
}
