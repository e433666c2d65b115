use crate::Kernel;

/// What can be wrong with a weight, a product or a choice of kernel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The number of values is not rows times columns.
    #[error("{what} has {values} values, but {rows} x {columns} were expected")]
    Size {
        /// Which matrix.
        what: &'static str,
        /// Values that it has.
        values: usize,
        /// Rows that it should have.
        rows: usize,
        /// Columns that it should have.
        columns: usize,
    },
    /// Memory does not hold a packed weight or a product.
    #[error("memory does not hold a matrix of {rows} x {columns}")]
    TooLarge {
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        columns: usize,
    },
    /// The processor, or the operating system, does not offer what the kernel needs.
    #[error("the kernel {kernel} cannot be used: {reason}")]
    Unusable {
        /// Which.
        kernel: Kernel,
        /// Why.
        reason: Unusable,
    },
    /// A text that names no arithmetic.
    #[error("unknown arithmetic {0:?}: f32, bf16x2 or bf16")]
    UnknownCompute(String),
}

/// Why a kernel cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unusable {
    /// Built for another processor or operating system.
    #[error("this build is for another platform")]
    Platform,
    /// CPUID does not name the instructions.
    #[error("the processor lacks {0}")]
    Processor(&'static str),
    /// The operating system does not save the registers (XCR0).
    #[error("the operating system does not save the tile registers")]
    NotSaved,
    /// Linux refused `arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)`.
    #[error("Linux refused the permission for tile registers (error {0})")]
    Refused(i64),
    /// A small product was not what the emulator computes.
    #[error("a small product differed from what the emulator of the instruction gives")]
    Differs,
}
