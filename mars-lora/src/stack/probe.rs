//! Sums over what the layers read in forward passes.

use burn::tensor::Tensor;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Sums over inputs, gathered by a stack in its forward passes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Probe(Arc<Mutex<BTreeMap<usize, (Tensor<2>, usize)>>>);

impl Probe {
    /// Adds inputs `[N, inputs]` of a site.
    /// The sum is X^T X, `[inputs, inputs]` f32, on the device.
    pub(crate) fn see(&self, site: usize, x: &Tensor<2>) {
        let square = x.clone().transpose().matmul(x.clone());
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = match all.remove(&site) {
            Some((sum, count)) => (sum + square, count + x.dims()[0]),
            None => (square, x.dims()[0]),
        };
        all.insert(site, sum);
    }

    /// The sums so far by site, each with its number of inputs; none are left.
    pub(crate) fn take(&self) -> BTreeMap<usize, (Tensor<2>, usize)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
