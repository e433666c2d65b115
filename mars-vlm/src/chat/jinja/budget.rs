//! Limits of what a template may use, whatever it says: steps, memory, depth.

use super::fault::Fault;
use std::cell::Cell;

/// Longest source of a template, bytes. Published ones have at most some tens of thousands.
pub(super) const LONGEST_SOURCE: usize = 1 << 20;
/// Longest name of a variable, attribute or filter, bytes: names are looked up with each use.
pub(super) const LONGEST_NAME: usize = 256;
/// Deepest nesting of expressions and of blocks in the source.
pub(super) const DEEPEST_SOURCE: u32 = 100;
/// Deepest nesting of lists, tuples and mappings in each other.
pub(super) const DEEPEST_VALUE: u32 = 100;
/// Deepest recursion of blocks, expressions and macros while rendering.
const DEEPEST_RUN: u32 = 250;
/// Most steps of one rendering: thousands of times what a long conversation needs; used up within seconds.
const STEPS: u64 = 5_000_000;
/// Most bytes that one rendering may make of texts and lists, all together, whether still needed or not.
const BYTES: u64 = 256 << 20;
/// Size of a value, at most.
pub(super) const BYTES_A_VALUE: usize = 32;
/// Bytes that are read, compared or searched within one step.
pub(super) const BYTES_A_STEP: usize = 64;

/// What is left to one rendering.
#[derive(Debug)]
pub(super) struct Budget {
    steps: Cell<u64>,
    bytes: Cell<u64>,
    depth: Cell<u32>,
}

impl Budget {
    pub(super) fn new() -> Self {
        Self { steps: Cell::new(STEPS), bytes: Cell::new(BYTES), depth: Cell::new(0) }
    }

    /// Takes `count` steps.
    ///
    /// # Errors
    /// If none are left.
    pub(super) fn steps(&self, count: usize) -> Result<(), Fault> {
        match self.steps.get().checked_sub(count as u64) {
            Some(left) => self.steps.set(left),
            None => return Err(Fault::new(format!("the template takes more than {STEPS} steps"))),
        }
        Ok(())
    }

    /// Takes the steps of reading `bytes` bytes once.
    ///
    /// # Errors
    /// If none are left.
    pub(super) fn scan(&self, bytes: usize) -> Result<(), Fault> {
        self.steps(1 + bytes / BYTES_A_STEP)
    }

    /// Takes memory for `bytes` bytes, before they are made, and the steps of writing them.
    ///
    /// # Errors
    /// If none are left.
    pub(super) fn bytes(&self, bytes: usize) -> Result<(), Fault> {
        match self.bytes.get().checked_sub(bytes as u64) {
            Some(left) => self.bytes.set(left),
            None => {
                let what = format!("the template makes more than {} MiB of text and lists", BYTES >> 20);
                return Err(Fault::new(what));
            }
        }
        self.scan(bytes)
    }

    /// Takes memory for a list of `len` values.
    ///
    /// # Errors
    /// If none is left.
    pub(super) fn values(&self, len: usize) -> Result<(), Fault> {
        self.steps(len)?;
        self.bytes(len.saturating_mul(BYTES_A_VALUE))
    }

    /// Runs `inside` one level deeper.
    ///
    /// # Errors
    /// Those of `inside`; if it is too deep.
    pub(super) fn deeper<T>(&self, inside: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        let depth = self.depth.get();
        if depth >= DEEPEST_RUN {
            let what =
                format!("the recursion of blocks, expressions and macros exceeds {DEEPEST_RUN} levels");
            return Err(Fault::new(what));
        }
        self.depth.set(depth + 1);
        let result = inside();
        self.depth.set(depth);
        result
    }
}
