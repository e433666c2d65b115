//! Panels of a small frozen weight, kept beside it.

#[cfg(feature = "cpu")]
pub(super) use on_cpu::WeightPanels;

/// What products with a small frozen weight need of it on the CPU backend, for both directions: packed when it is first needed, and
/// packed anew when the weight is another tensor.
///
/// Clones share it. It holds the weight that it is of, and takes up to twice the weight's memory in f32 beside that.
#[derive(Clone, Default)]
pub struct KeptPanels {
    #[cfg(feature = "cpu")]
    kept: std::sync::Arc<std::sync::Mutex<Option<std::sync::Arc<WeightPanels>>>>,
}

impl std::fmt::Debug for KeptPanels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptPanels").finish_non_exhaustive()
    }
}

#[cfg(feature = "cpu")]
mod on_cpu {
    use super::KeptPanels;
    use crate::ops::flex::f32s;
    use crate::ops::tiles::Panels;
    use burn::backend::flex::{Flex, FlexTensor};
    use burn::backend::{TensorMetadata, ops::FloatTensorOps};
    use std::sync::{Arc, OnceLock, PoisonError};

    impl KeptPanels {
        /// Those of `weight` `[inputs, outputs]`.
        pub(in crate::ops) fn of(&self, weight: &FlexTensor) -> Arc<WeightPanels> {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            match &*kept {
                Some(panels) if panels.are_of(weight) => panels.clone(),
                _ => kept.insert(Arc::new(WeightPanels::new(weight))).clone(),
            }
        }
    }

    /// A weight and its panels.
    pub(in crate::ops) struct WeightPanels {
        weight: FlexTensor,
        forward: OnceLock<Panels>,
        backward: OnceLock<Panels>,
    }

    impl WeightPanels {
        fn new(weight: &FlexTensor) -> Self {
            Self { weight: weight.clone(), forward: OnceLock::new(), backward: OnceLock::new() }
        }

        /// Whether `weight` is the same memory in the same order. Memory that is shared is never written to, and this is a sharer.
        fn are_of(&self, weight: &FlexTensor) -> bool {
            let memory = |x: &FlexTensor| x.bytes().as_ptr();
            let same = self.weight.layout() == weight.layout() && self.weight.dtype() == weight.dtype();
            same && std::ptr::eq(memory(&self.weight), memory(weight))
        }

        /// For products with rows of inputs.
        pub(in crate::ops) fn forward(&self) -> &Panels {
            self.forward.get_or_init(|| {
                let (weight, transposed, [inputs, outputs]) = self.values();
                match transposed {
                    true => Panels::new().columns(weight.storage(), inputs, [inputs, outputs]),
                    false => Panels::new().rows(weight.storage(), outputs, [inputs, outputs]),
                }
            })
        }

        /// For products with rows of gradients.
        pub(in crate::ops) fn backward(&self) -> &Panels {
            self.backward.get_or_init(|| {
                let (weight, transposed, [inputs, outputs]) = self.values();
                match transposed {
                    true => Panels::new().rows(weight.storage(), inputs, [outputs, inputs]),
                    false => Panels::new().columns(weight.storage(), outputs, [outputs, inputs]),
                }
            })
        }

        /// The values in f32, whether columns of the weight lie together, not rows, and its shape.
        fn values(&self) -> (FlexTensor, bool, [usize; 2]) {
            let shape = self.weight.shape();
            let back = Flex::float_transpose(self.weight.clone());
            let transposed = back.is_contiguous();
            (f32s(if transposed { back } else { self.weight.clone() }), transposed, [shape[0], shape[1]])
        }
    }
}
