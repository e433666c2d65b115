//! The forward pass of all adapters, at layers that read one input and at embeddings.
//!
//! At a layer with input x, frozen weight W, factors A and B and scale s, in the row-vector convention:
//! `y = x W + s (drop(x) A^T) B^T` (arXiv 2106.09685), with PiSSA less `s (x A0^T) B0^T` of the frozen first
//! factors (arXiv 2404.02948), and with DoRA `y = gain * (x W + s (x A^T) B^T)` (arXiv 2402.09353). The base
//! product is one for all adapters; the low-rank products are one batched product for each band. Layers that
//! read the same x (query, key and value) share the product with A as well, unless something is dropped: each
//! layer drops inputs of its own, as in PEFT.

use super::products::{BandFactors, SiteFactors};
use crate::{AdapterStack, LoraLinear, ops};
use burn::tensor::{Int, Tensor};

impl AdapterStack {
    /// What `layers`, which read the same `x`, compute with the adapters: `bases` are the products of `x` with their
    /// weights. `x` is `[K * N, inputs]`, bases and results `[K * N, outputs]`.
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
        let mut lows = self.shared_lows(&acting, &x).into_iter();
        let mut layers = acting.into_iter().zip(layers);
        bases.map(|base| match (layers.next(), lows.next().unwrap_or_default()) {
            (Some((Some(site), layer)), lows) => {
                x = ops::relay(x.clone());
                self.apply_one(site, &x, base, layer, lows)
            }
            _ => base,
        })
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

    /// The products `x A` of several layers as one, `[layer][band]`; `None` for a band that is not at all of the layers or
    /// drops inputs. Whether products are shared does not depend on other bands. On GPUs none is: joining the factors and dividing
    /// gradients takes more launches than the products.
    fn shared_lows(&self, acting: &[Option<&SiteFactors>], x: &Tensor<2>) -> Vec<Vec<Option<Tensor<3>>>> {
        if !ops::on_cpu(&x.device()) {
            return Vec::new();
        }
        let Some(all) = acting.iter().copied().collect::<Option<Vec<&SiteFactors>>>() else {
            return Vec::new();
        };
        let Some((first, rest)) = all.split_first().filter(|(_, rest)| !rest.is_empty()) else {
            return Vec::new();
        };
        let mut lows: Vec<_> = all.iter().map(|site| vec![None; site.bands.len()]).collect();
        for (index, band) in first.bands.iter().enumerate() {
            let same =
                |site: &&SiteFactors| site.bands.iter().position(|other| other.members == band.members);
            let Some(others) = rest.iter().map(same).collect::<Option<Vec<usize>>>() else { continue };
            if self.drops(band) {
                continue;
            }
            let places: Vec<usize> = std::iter::once(index).chain(others).collect();
            let columns: Vec<Tensor<3>> =
                all.iter().zip(&places).map(|(site, place)| site.bands[*place].columns()).collect();
            let widths: Vec<usize> = columns.iter().map(|c| c.dims()[2]).collect();
            let low = ops::matmul(self.rows_of(x, band), Tensor::cat(columns, 2));
            let mut from = 0;
            for ((own, place), width) in lows.iter_mut().zip(places).zip(widths) {
                own[place] = Some(low.clone().narrow(2, from, width));
                from += width;
            }
        }
        lows
    }

    fn drops(&self, band: &BandFactors) -> bool {
        self.draws.is_some() && band.drops()
    }

    /// As [`apply`](Self::apply) for one layer; `lows` are its products `x A` for each band, where they are known.
    /// With a gain and own product `o = x W`, what is added to the base is `(o + delta) gain - o`.
    fn apply_one(
        &self,
        site: &SiteFactors,
        x: &Tensor<2>,
        base: Tensor<2>,
        layer: &LoraLinear,
        lows: Vec<Option<Tensor<3>>>,
    ) -> Tensor<2> {
        if let Some(y) = self.apply_whole(site, x, &base) {
            return y;
        }
        let mut lows = lows.into_iter();
        let deltas = site.bands.iter().map(|band| {
            // Two read the rows, one reads x: what two gradients add up to does not depend on their order.
            let dropped = self.draws.as_ref().filter(|_| band.drops()).map(|draws| {
                let x = self.rows_of(x, band);
                (band.drop(x.clone(), draws, site.stream), x)
            });
            let low = lows.next().flatten().unwrap_or_else(|| match &dropped {
                Some((dropped, x)) => band.dropped_low(dropped.clone(), x.clone()),
                None => ops::matmul(self.rows_of(x, band), band.columns()),
            });
            let delta = band.expand(low);
            let Some(gain) = band.gain(layer) else { return delta };
            // As in PEFT, the gain acts on what the adapter reads: inputs that are dropped bring nothing.
            let own = match dropped {
                Some((dropped, _)) => layer.products(dropped),
                None => self.rows_of(&base, band),
            };
            (own.clone() + delta) * gain - own
        });
        let deltas: Vec<Tensor<3>> = deltas.collect();
        let delta = self.in_place(site, deltas, base.dims());
        base + delta
    }

    /// As [`apply_one`](Self::apply_one) on a GPU, where one plain band has all adapters: one step instead of four, each of which
    /// is a launch and a tensor written, forward and backward. Here it is chosen between the step of batched products and
    /// [`ops::fused_low_rank`], which is slower on software Vulkan and not measured on a card (docs/results/gpu.md).
    fn apply_whole(&self, site: &SiteFactors, x: &Tensor<2>, base: &Tensor<2>) -> Option<Tensor<2>> {
        let [band] = &site.bands[..] else { return None };
        let whole = band.members.len() == self.len() && !self.drops(band);
        let scale = band.plain().filter(|_| whole && !ops::on_cpu(&x.device()))?;
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
            band.expand(band.look_up(own))
        });
        let deltas = deltas.collect();
        let delta = self.in_place(site, deltas, base.dims());
        base + delta
    }

    /// What the bands add, `[n, N, width]` each, in the rows of their members; zero elsewhere.
    fn in_place(&self, site: &SiteFactors, deltas: Vec<Tensor<3>>, dims: [usize; 2]) -> Tensor<2> {
        let [rows, width] = dims;
        let per_adapter = rows / self.len();
        let (mut parts, mut next) = (Vec::with_capacity(deltas.len()), 0);
        let nothing = |count: usize| Tensor::zeros([count * per_adapter, width], &self.flat.device());
        for (band, delta) in site.bands.iter().zip(deltas) {
            if band.members.start > next {
                parts.push(nothing(band.members.start - next));
            }
            parts.push(delta.reshape([band.members.len() * per_adapter, width]));
            next = band.members.end;
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
