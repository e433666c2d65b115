use super::Precision;
use mars_kernels::{Compute, Kernel};

/// How the frozen weights are kept, and what products with them are computed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Storage {
    /// Type of the matrices that are not packed.
    pub precision: Precision,
    /// Linear layers that are sites are packed for this arithmetic and kernel, on the CPU backend, and their plain form is freed; those
    /// that are quantised are not. `None`: products are in f32 with the plain weights.
    pub packed: Option<(Compute, Kernel)>,
}

impl From<Precision> for Storage {
    fn from(precision: Precision) -> Self {
        Self { precision, packed: None }
    }
}
