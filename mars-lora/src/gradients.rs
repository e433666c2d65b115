//! Gradients of a stack as flat rows, `[K, P]`, in the layout of its factors.

use crate::AdapterStack;
use crate::products::BandFactors;
use crate::stack::host;
use burn::tensor::{Gradients, Tensor};

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
    #[must_use]
    pub fn dropping(mut self, draws: Vec<u64>) -> Self {
        let drops = self.configs().iter().any(|config| config.dropout > 0.0);
        self.draws = drops.then_some(draws);
        self
    }

    /// Gradients of a [`tracked`](Self::tracked) stack, `[K, P]`; zero for factors that the loss did not use.
    pub fn gradients(&self, gradients: &mut Gradients) -> Tensor<2> {
        let mut parts = Vec::with_capacity(3 * self.layout.slots.len());
        for slot in &self.layout.slots {
            let bands = self.sites[slot.site].as_ref().map_or(&[][..], |site| &site.bands);
            let mut part = |width: usize, factor: &dyn Fn(&BandFactors) -> Option<Tensor<3>>| {
                if width > 0 {
                    parts.push(self.assemble(width, bands, &mut |band| factor(band)?.grad_remove(gradients)));
                }
            };
            part(slot.a(slot.rank).len(), &|band| Some(band.a.clone()));
            part(slot.b(slot.rank).len(), &|band| Some(band.b.clone()));
            part(slot.magnitude().len(), &|band| band.magnitude.clone());
        }
        match parts.is_empty() {
            true => self.flat.zeros_like(),
            false => Tensor::cat(parts, 1),
        }
    }

    /// One part of all rows, `[K, width]`, from a tensor for each band; zero where there is none.
    fn assemble(
        &self,
        width: usize,
        bands: &[BandFactors],
        values: &mut dyn FnMut(&BandFactors) -> Option<Tensor<3>>,
    ) -> Tensor<2> {
        let device = self.flat.device();
        let (mut pieces, mut next) = (Vec::with_capacity(bands.len()), 0);
        for band in bands {
            let count = band.members.len();
            let Some(values) = values(band) else { continue };
            if band.members.start > next {
                pieces.push(Tensor::zeros([band.members.start - next, width], &device));
            }
            let [_, height, length] = values.dims();
            let own = values.reshape([count, height * length]);
            pieces.push(match width - height * length {
                0 => own,
                rest => Tensor::cat(vec![own, Tensor::zeros([count, rest], &device)], 1),
            });
            next = band.members.end;
        }
        if next < self.len() {
            pieces.push(Tensor::zeros([self.len() - next, width], &device));
        }
        if pieces.len() == 1 { pieces.swap_remove(0) } else { Tensor::cat(pieces, 0) }
    }

    /// Squared Euclidean norm of each row of `[K, P]`; what else is in the stack does not change a bit of it.
    pub(crate) fn squares(&self, flat: &Tensor<2>) -> Vec<f64> {
        let square = flat.clone().square();
        let (mut sums, mut owners) = (Vec::new(), Vec::new());
        for (slot, bands) in self.layout.slots.iter().zip(&self.bands) {
            for band in bands {
                let places = [slot.a(band.rank), slot.b(band.rank), slot.magnitude()];
                for place in places.into_iter().filter(|place| !place.is_empty()) {
                    let part = square.clone().slice([band.members.clone(), place]);
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
