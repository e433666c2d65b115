//! The program's allocator: it keeps freed memory for the next pass. With the system's, a training step spends a sixth of its
//! time on taking pages again (docs/results/lora-step.md).

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Gives freed memory back to the system, where what comes next has no use for it.
#[allow(unsafe_code)]
pub(crate) fn give_back() {
    // SAFETY: a function of the allocator in use, without conditions.
    unsafe { libmimalloc_sys::mi_collect(true) };
}
