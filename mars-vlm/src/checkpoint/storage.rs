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

impl Storage {
    /// Bytes of one weight of a linear layer at the least: four bits may take a byte, and a weight that is not bf16 twice as much as one
    /// that is.
    pub fn least_bytes(&self) -> f64 {
        let own = self.precision.bytes(true);
        match self.packed {
            None | Some((Compute::F32, _) | (_, Kernel::F32)) => own,
            Some(_) => own.min(2.0),
        }
    }
}

impl From<Precision> for Storage {
    fn from(precision: Precision) -> Self {
        Self { precision, packed: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_in_bf16_a_weight_takes_two_bytes_whatever_type_is_set() {
        let least = |precision, packed| Storage { precision, packed }.least_bytes();
        let bf16 = |compute| Some((compute, Kernel::Emulator));
        assert_eq!(least(Precision::F32, None), 4.0);
        assert_eq!(least(Precision::F32, bf16(Compute::F32)), 4.0);
        assert_eq!(least(Precision::F32, Some((Compute::Bf16, Kernel::F32))), 4.0);
        for compute in [Compute::Bf16x2, Compute::Bf16] {
            assert_eq!(least(Precision::F32, bf16(compute)), 2.0);
            assert_eq!(least(Precision::Bf16, bf16(compute)), 2.0);
        }
        assert_eq!(least(Precision::Q8, None), Precision::Q8.bytes(true));
    }
}
