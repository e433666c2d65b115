//! The forward pass of all adapters, at layers that read one input and at embeddings.
//!
//! At a layer with input x, frozen weight W, factors A and B and scale s, in the row-vector convention:
//! `y = x W + s (drop(x) A^T) B^T` (arXiv 2106.09685), with PiSSA less `s (x A0^T) B0^T` of the frozen first
//! factors (arXiv 2404.02948), and with DoRA `y = gain * (x W + s (x A^T) B^T)` (arXiv 2402.09353). The base
//! product is one for all adapters. On the CPU what plain bands add to it is one step of the graph; elsewhere, and for other bands, the
//! low-rank products are one batched product for each band. Each layer drops inputs of its own, as in PEFT.

use super::products::{BandFactors, SiteFactors};
use crate::ops::{self, KeptPanels};
use crate::{AdapterStack, LoraLinear};
use burn::tensor::{Int, Tensor};
use std::ops::Range;

impl AdapterStack {
    /// What `layers`, which read the same `x`, compute with the adapters and their biases: `bases` are the products of `x` with
    /// their weights. `x` is `[K * N, inputs]`, bases and results `[K * N, outputs]`.
    ///
    /// # Panics
    /// If the rows of `x` are no multiple of the number of adapters.
    pub(crate) fn apply<const N: usize>(
        &self,
        layers: [&LoraLinear; N],
        x: &Tensor<2>,
        bases: [Tensor<2>; N],
    ) -> [Tensor<2>; N] {
        if let Some(probe) = &self.probe {
            layers.iter().for_each(|layer| probe.see(layer.site, x));
        }
        let acting = layers.map(|layer| self.sites.get(layer.site).and_then(Option::as_ref));
        let mut x = ops::relay(x.clone());
        let mut layers = acting.into_iter().zip(layers);
        bases.map(|base| {
            let Some((site, layer)) = layers.next() else { return base };
            let bias = layer.bias.as_ref().map(|bias| bias.val());
            let Some(site) = site else { return with_bias(base, bias) };
            x = ops::relay(x.clone());
            match ops::on_cpu(&base.device()) {
                true => self.apply_in_place(site, &x, base, (layer, bias)),
                false => with_bias(self.apply_one(site, &x, base, layer), bias),
            }
        })
    }

    /// As [`apply`](Self::apply) for one layer on the CPU: plain bands and the bias are one step, which adds to the memory of the base where
    /// nothing else holds that.
    fn apply_in_place(
        &self,
        site: &SiteFactors,
        x: &Tensor<2>,
        base: Tensor<2>,
        (layer, bias): (&LoraLinear, Option<Tensor<1>>),
    ) -> Tensor<2> {
        let (mut factors, mut deltas) = (Vec::new(), Vec::new());
        for band in &site.bands {
            match band.low_rank().filter(|_| !self.drops(band)) {
                Some(own) => factors.push(own),
                // Before the base moves into the step below.
                None => {
                    deltas.push((band.members.clone(), self.delta(band, site.stream, x, &base, layer)));
                }
            }
        }
        // To the step it is a constant.
        let (constant, tracked) = match bias {
            Some(bias) if bias.is_tracked() => (None, Some(bias)),
            bias => (bias, None),
        };
        let y = if factors.is_empty() {
            with_bias(base, constant)
        } else {
            let (outputs, bias) = (base.dims()[1], constant);
            let linear = ops::Linear { weight: None, outputs, bias, factors, panels: KeptPanels::default() };
            ops::linears(x.clone(), vec![linear], Some(base), self.len())
        };
        let y = with_bias(y, tracked);
        if deltas.is_empty() {
            return y;
        }
        let dims = y.dims();
        y + self.in_place(deltas, dims)
    }

    /// The low-rank factors of each of the layers `sites`, and for each adapter whether it does more than add `scale (x A) B` at
    /// one of them, whose factors there are left out. `None` while inputs are looked at.
    pub(crate) fn low_rank<const N: usize>(
        &self,
        sites: [usize; N],
    ) -> Option<([Vec<ops::LowRank>; N], Vec<bool>)> {
        if self.probe.is_some() {
            return None;
        }
        let mut special = vec![false; self.len()];
        let layers = sites.map(|site| {
            let site = self.sites.get(site).and_then(Option::as_ref);
            let mut plain = Vec::new();
            for band in site.map_or(&[][..], |site| &site.bands) {
                match band.low_rank().filter(|_| !self.drops(band)) {
                    Some(factors) => plain.push(factors),
                    None => special[band.members.clone()].fill(true),
                }
            }
            plain
        });
        Some((layers, special))
    }

    fn drops(&self, band: &BandFactors) -> bool {
        self.draws.is_some() && band.drops()
    }

    /// As [`apply`](Self::apply) for one layer on GPUs, without its bias.
    fn apply_one(&self, site: &SiteFactors, x: &Tensor<2>, base: Tensor<2>, layer: &LoraLinear) -> Tensor<2> {
        if let Some(y) = self.apply_whole(site, x, &base) {
            return y;
        }
        let delta =
            |band: &BandFactors| (band.members.clone(), self.delta(band, site.stream, x, &base, layer));
        let deltas = site.bands.iter().map(delta).collect();
        let delta = self.in_place(deltas, base.dims());
        base + delta
    }

    /// What a band adds to its rows of the base, `[n, N, outputs]`.
    /// With a gain and own product `o = x W` that is `(o + delta) gain - o`.
    fn delta(
        &self,
        band: &BandFactors,
        stream: u64,
        x: &Tensor<2>,
        base: &Tensor<2>,
        layer: &LoraLinear,
    ) -> Tensor<3> {
        // Two read the rows, one reads x: what two gradients add up to does not depend on their order.
        let dropped = self.draws.as_ref().filter(|_| band.drops()).map(|draws| {
            let x = self.rows_of(x, band);
            (band.drop(x.clone(), draws, stream), x)
        });
        let low = match &dropped {
            Some((dropped, x)) => band.dropped_low(dropped.clone(), x.clone()),
            None => ops::matmul(self.rows_of(x, band), band.columns()),
        };
        let delta = band.expand(low);
        let Some(gain) = band.gain(layer) else { return delta };
        // As in PEFT, the gain acts on what the adapter reads: inputs that are dropped bring nothing.
        let own = match dropped {
            Some((dropped, _)) => layer.products(dropped),
            None => self.rows_of(base, band),
        };
        (own.clone() + delta) * gain - own
    }

    /// As [`apply_one`](Self::apply_one) on a GPU where one plain band has all adapters: one step instead of four, each of which
    /// is a launch and a tensor written, forward and backward. Here it is chosen between the step of batched products and
    /// [`ops::fused_low_rank`], which is slower on software Vulkan and not measured on a card (docs/results/gpu.md).
    fn apply_whole(&self, site: &SiteFactors, x: &Tensor<2>, base: &Tensor<2>) -> Option<Tensor<2>> {
        let [band] = &site.bands[..] else { return None };
        let whole = band.members.len() == self.len() && !self.drops(band);
        let scale = band.plain().filter(|_| whole)?;
        let factors = [band.a.clone(), band.b.clone()];
        let y = ops::low_rank(self.rows_of(x, band), factors, self.rows_of(base, band), scale as f32);
        Some(y.reshape(base.dims()))
    }

    /// The rows `base` `[K * N, width]` of an embedding at `ids` `[K * N]`, with the adapters.
    pub(crate) fn embed(&self, site: usize, ids: Tensor<1, Int>, base: Tensor<2>) -> Tensor<2> {
        let Some(site) = self.sites.get(site).and_then(Option::as_ref) else { return base };
        let per_adapter = ids.dims()[0] / self.len();
        let deltas = site.bands.iter().map(|band| {
            let own =
                ids.clone().narrow(0, band.members.start * per_adapter, band.members.len() * per_adapter);
            (band.members.clone(), band.expand(band.look_up(own)))
        });
        let delta = self.in_place(deltas.collect(), base.dims());
        base + delta
    }

    /// What members have, `[n, N, width]` each, in their rows; zero elsewhere.
    fn in_place(&self, deltas: Vec<(Range<usize>, Tensor<3>)>, dims: [usize; 2]) -> Tensor<2> {
        let [rows, width] = dims;
        let per_adapter = rows / self.len();
        let (mut parts, mut next) = (Vec::with_capacity(deltas.len()), 0);
        let nothing = |count: usize| Tensor::zeros([count * per_adapter, width], &self.flat.device());
        for (members, delta) in deltas {
            if members.start > next {
                parts.push(nothing(members.start - next));
            }
            parts.push(delta.reshape([members.len() * per_adapter, width]));
            next = members.end;
        }
        if next < self.len() {
            parts.push(nothing(self.len() - next));
        }
        if parts.len() == 1 { parts.swap_remove(0) } else { Tensor::cat(parts, 0) }
    }

    /// The rows of the members of `band`, `[n, N, width]`.
    fn rows_of(&self, x: &Tensor<2>, band: &BandFactors) -> Tensor<3> {
        let [rows, width] = x.dims();
        let all = x.clone().reshape([self.len(), rows / self.len(), width]);
        match band.members.len() == self.len() {
            true => all,
            false => all.narrow(0, band.members.start, band.members.len()),
        }
    }
}

fn with_bias(y: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<2> {
    match bias {
        Some(bias) => y + bias.unsqueeze(),
        None => y,
    }
}
