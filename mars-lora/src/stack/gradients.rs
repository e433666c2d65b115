//! Gradients of a stack as flat rows, `[K, P]`, in the layout of its factors.

use super::host::host;
use super::products::BandFactors;
use crate::{AdapterStack, ops};
use burn::tensor::{Gradients, Tensor};
use std::collections::BTreeMap;

impl AdapterStack {
    /// This stack with factors that collect gradients, without dropout.
    #[must_use]
    pub fn tracked(&self) -> Self {
        let mut stack = self.clone();
        stack.draws = None;
        for site in stack.sites.iter_mut().flatten() {
            site.bands.iter_mut().for_each(BandFactors::track);
        }
        stack
    }

    /// This stack with the dropout of its adapters; `draws[k]` decides what adapter k drops, and should be
    /// another one at each step.
    /// `draws` has K numbers. Inputs of the low-rank path are zeroed with the probability of the adapter's
    /// configuration and the others divided by `1 - p`, as `torch.nn.Dropout` does. No effect on stacks whose
    /// adapters all have dropout 0.
    #[must_use]
    pub fn dropping(mut self, draws: Vec<u64>) -> Self {
        let drops = self.configs().iter().any(|config| config.dropout > 0.0);
        self.draws = drops.then_some(draws);
        self
    }

    /// Gradients of a [`tracked`](Self::tracked) stack, `[K, P]`; zero for factors that the loss did not use.
    /// The layout is that of [`flat`](Self::flat). Removes what it reads from `gradients`; entries of padding
    /// are exactly 0.
    pub fn gradients(&self, gradients: &mut Gradients) -> Tensor<2> {
        let mut all = FactorGradients::default();
        all.take(self, gradients);
        all.into_rows(self)
    }

    /// One part of all rows, `[K, width]`, from a tensor for each band; zero where there is none.
    fn assemble(
        &self,
        width: usize,
        bands: &[BandFactors],
        values: impl Iterator<Item = Option<Tensor<3>>>,
    ) -> Tensor<2> {
        let device = self.flat.device();
        let (mut parts, mut next) = (Vec::with_capacity(bands.len()), 0);
        for (band, values) in bands.iter().zip(values) {
            let count = band.members.len();
            let Some(values) = values else { continue };
            if band.members.start > next {
                parts.push(Tensor::zeros([band.members.start - next, width], &device));
            }
            let [_, height, length] = values.dims();
            let own = values.reshape([count, height * length]);
            parts.push(match width - height * length {
                0 => own,
                rest => Tensor::cat(vec![own, Tensor::zeros([count, rest], &device)], 1),
            });
            next = band.members.end;
        }
        if next < self.len() {
            parts.push(Tensor::zeros([self.len() - next, width], &device));
        }
        if parts.len() == 1 { parts.swap_remove(0) } else { Tensor::cat(parts, 0) }
    }

    /// Euclidean norm of each row of `[K, P]` in the layout of this stack, such as the change of its factors; what else is in
    /// the stack does not change a bit of it.
    pub fn norms(&self, flat: &Tensor<2>) -> Vec<f64> {
        self.squares(flat).into_iter().map(f64::sqrt).collect()
    }

    /// Squared Euclidean norm of each row of `[K, P]`; what else is in the stack does not change a bit of it.
    /// Summed in f32 over each factor of a band, then in f64 over factors and sites in site order; on GPUs in f32 over the row,
    /// whose padding is 0.
    pub(crate) fn squares(&self, flat: &Tensor<2>) -> Vec<f64> {
        let square = flat.clone().square();
        if !ops::on_cpu(&flat.device()) {
            return host(square.sum_dim(1)).into_iter().map(f64::from).collect();
        }
        let (mut sums, mut owners) = (Vec::new(), Vec::new());
        for (slot, bands) in self.layout.slots.iter().zip(&self.bands) {
            for band in bands {
                let spans = [slot.a(band.rank), slot.b(band.rank), slot.magnitude()];
                for span in spans.into_iter().filter(|span| !span.is_empty()) {
                    let part = square.clone().slice([band.members.clone(), span]);
                    sums.push(part.sum_dim(1).reshape([band.members.len()]));
                    owners.extend(band.members.clone());
                }
            }
        }
        let mut squares = vec![0.0; self.len()];
        if !sums.is_empty() {
            for (k, sum) in owners.into_iter().zip(host(Tensor::<1>::cat(sums, 0))) {
                squares[k] += f64::from(sum);
            }
        }
        squares
    }
}

/// Gradients of the factors of a tracked stack, gathered from one or more backward passes.
#[derive(Default)]
pub(crate) struct FactorGradients(BTreeMap<(usize, usize), [Option<Tensor<3>>; 3]>);

impl FactorGradients {
    /// Adds what a backward pass found.
    pub(crate) fn take(&mut self, stack: &AdapterStack, gradients: &mut Gradients) {
        for (index, slot) in stack.layout.slots.iter().enumerate() {
            let bands = stack.sites[slot.site].as_ref().map_or(&[][..], |site| &site.bands);
            for (number, band) in bands.iter().enumerate() {
                let factors = [Some(&band.a), Some(&band.b), band.magnitude.as_ref()];
                let found = factors.map(|factor| factor?.grad_remove(gradients));
                if found.iter().any(Option::is_some) {
                    let sums = self.0.entry((index, number)).or_default();
                    for (sum, found) in sums.iter_mut().zip(found) {
                        *sum = match (sum.take(), found) {
                            (Some(sum), Some(found)) => Some(sum + found),
                            (sum, found) => sum.or(found),
                        };
                    }
                }
            }
        }
    }

    /// All of them as rows `[K, P]`.
    pub(crate) fn into_rows(mut self, stack: &AdapterStack) -> Tensor<2> {
        let mut parts = Vec::with_capacity(3 * stack.layout.slots.len());
        for (index, slot) in stack.layout.slots.iter().enumerate() {
            let bands = stack.sites[slot.site].as_ref().map_or(&[][..], |site| &site.bands);
            let mut found: Vec<[Option<Tensor<3>>; 3]> =
                (0..bands.len()).map(|number| self.0.remove(&(index, number)).unwrap_or_default()).collect();
            let widths = [slot.a(slot.rank).len(), slot.b(slot.rank).len(), slot.magnitude().len()];
            for (factor, width) in widths.into_iter().enumerate().filter(|(_, width)| *width > 0) {
                parts.push(stack.assemble(width, bands, found.iter_mut().map(|of| of[factor].take())));
            }
        }
        match parts.is_empty() {
            true => stack.flat.zeros_like(),
            false => Tensor::cat(parts, 1),
        }
    }
}
