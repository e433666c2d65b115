//! The program's allocator: it keeps freed memory for the next pass. With the system's, a training step spends a sixth of its
//! time on taking pages again (docs/results/lora-step.md).

use mimalloc::MiMalloc;

#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// `mi_option_purge_delay`, which the bindings leave out: it comes before this one.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = libmimalloc_sys::mi_option_use_numa_nodes - 1;

/// Keeps freed memory until it is asked back ([`give_back`]): the next step needs as much again, and by default the allocator gives
/// it back to the system after a second, which then clears the pages anew. `MIMALLOC_PURGE_DELAY` in the environment, in milliseconds,
/// comes first.
#[allow(unsafe_code)]
pub(crate) fn keep_freed() {
    // SAFETY: sets an option of the allocator in use, without conditions.
    unsafe { libmimalloc_sys::mi_option_set_default(PURGE_DELAY, -1) };
}

/// Gives freed memory back to the system, where what comes next has no use for it.
#[allow(unsafe_code)]
pub(crate) fn give_back() {
    // SAFETY: a function of the allocator in use, without conditions.
    unsafe { libmimalloc_sys::mi_collect(true) };
}
