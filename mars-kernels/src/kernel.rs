/// What a product is computed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kernel {
    /// The product in f32 of the crate `gemm`: vectors of the processor at hand.
    F32,
    /// The bf16 tiles of AMX; [`tiles`](crate::tiles) says whether they can be used.
    Tiles,
    /// The tile instructions in plain Rust, for tests: some hundred times slower.
    Emulator,
}
