//! AdaLoRA in training: optimizer step, importance, mask.

use super::super::AdaLoraConfig;
use super::super::adamw::{Memory, clip};
use super::super::method::{Feedback, RankMap, RankMethod, adapted, by_layer, gradient};
use super::super::training::{MethodTraining, scaled};
use super::budget::Schedule;
use super::importance::Importance;
use super::orthogonality::Orthogonality;
use super::triplets::transposed;
use super::{Triplets, mask};
use crate::{AdaptedModule, Adapter, AdapterConfig, Error, Factors, Site};

/// PEFT adds this to the rank that it divides by.
const RANK_EPSILON: f64 = 1e-5;

/// One layer with what is remembered of it; tensors in the order A, E, B.
#[derive(Clone, Debug)]
struct Layer {
    triplets: Triplets,
    scale: f64,
    rate: f64,
    memory: [Memory; 3],
    importance: [Importance; 3],
}

impl Layer {
    fn values(&self) -> [&[f32]; 3] {
        let Triplets { a, e, b, .. } = &self.triplets;
        [a, e, b]
    }

    /// Score of each triplet: its value's, and the means over its vectors.
    /// `score_i = s(E_i) + mean_j s(A_ij) + mean_j s(B_ji)`, s the smoothed importance (arXiv 2303.10512).
    fn scores(&self) -> impl Iterator<Item = f32> + '_ {
        let [a, e, b] = &self.importance;
        let Triplets { inputs, outputs, .. } = self.triplets;
        let rank = self.triplets.rank();
        (0..rank).map(move |i| {
            let vectors =
                a.mean_score(i * inputs..(i + 1) * inputs) + b.mean_score((0..outputs).map(|o| o * rank + i));
            e.score(i) + vectors
        })
    }
}

/// AdaLoRA, started.
/// One step: gradients of A, E and B by the chain rule, regulariser added, clipped; AdamW; importance, until
/// the mask is fixed at step `steps - tail`; mask, by which the values E of pruned triplets become 0. Moments
/// of pruned triplets go on.
#[derive(Clone, Debug)]
pub struct AdaLora {
    config: AdaLoraConfig,
    training: MethodTraining,
    /// At the initial ranks.
    adapter: AdapterConfig,
    layers: Vec<Layer>,
    schedule: Schedule,
    /// The mask last applied, over the triplets of all layers in order.
    mask: Option<Vec<bool>>,
}

impl AdaLora {
    /// Starts from fresh triplets. `plain` gives the ranks at the end (PEFT's `target_r`), the scale convention that is
    /// matched, the targets and the seed. A layer begins with the largest useful rank where the initial one is above it.
    ///
    /// # Errors
    /// As [`AdapterConfig::useful_ranks`] and [`AdaLoraConfig::validate`]; [`Error::BadValue`] for
    /// a target rank above the initial one; [`Error::Variant`] for a configuration with DoRA, dropout or an init of its own.
    pub fn new(
        config: AdaLoraConfig,
        training: MethodTraining,
        plain: AdapterConfig,
        modules: &[AdaptedModule],
        sites: &[Site],
    ) -> Result<Self, Error> {
        config.validate(training.steps)?;
        let start = |(site, rank): (&Site, usize)| {
            Triplets::fresh(site, scaled(rank, config.init_ratio).min(site.max_rank()), plain.seed)
        };
        let triplets = adapted(&plain, modules, sites)?.into_iter().map(start).collect();
        Self::from_triplets(config, training, plain, triplets)
    }

    /// Starts from given triplets, one entry for each adapted layer in site order.
    /// The scale of a layer is `alpha / (initial rank + 1e-5)` with [`AdaLoraConfig::alpha`], otherwise that of
    /// plain LoRA at the target rank. A module that `plain` does not name keeps its initial rank as its target.
    ///
    /// # Errors
    /// As [`AdaLoraConfig::validate`]; [`Error::BadValue`] for a target rank above the initial one.
    pub fn from_triplets(
        config: AdaLoraConfig,
        training: MethodTraining,
        plain: AdapterConfig,
        triplets: Vec<Triplets>,
    ) -> Result<Self, Error> {
        config.validate(training.steps)?;
        let (mut first, mut last) = (0, 0);
        let mut layers = Vec::with_capacity(triplets.len());
        for triplets in triplets {
            let rank = triplets.rank();
            let target = plain.ranks.get(&triplets.module).copied().unwrap_or(rank);
            if target == 0 || target > rank {
                let expected = "a target rank from 1 to the initial rank of its module";
                return Err(Error::BadValue { name: "target", value: target as f64, expected });
            }
            (first, last) = (first + rank, last + target);
            let scale = match config.alpha {
                Some(alpha) => alpha / (rank as f64 + RANK_EPSILON),
                None => plain.scale.scale(target),
            };
            let rate = training.rates.at(&triplets.module);
            let lengths = [triplets.a.len(), triplets.e.len(), triplets.b.len()];
            let (memory, importance) = (lengths.map(Memory::new), lengths.map(Importance::new));
            layers.push(Layer { triplets, scale, rate, memory, importance });
        }
        let AdaLoraConfig { warmup, tail, interval, .. } = config;
        let schedule = Schedule { first, last, steps: training.steps, warmup, tail, interval };
        let adapter = initial(&config, &plain);
        Ok(Self { config, training, adapter, layers, schedule, mask: None })
    }

    /// The triplets of each layer, pruned ones with value 0.
    pub fn triplets(&self) -> impl Iterator<Item = &Triplets> {
        self.layers.iter().map(|layer| &layer.triplets)
    }

    /// Number of triplets that may live after `step` (counted from 1), and whether a mask is due there.
    pub fn budget(&self, step: usize) -> (usize, bool) {
        self.schedule.at(step)
    }

    /// Gradients of A, E and B of each layer, regulariser included, clipped.
    fn gradients(&self, effective: &[Factors]) -> Result<Vec<[Vec<f32>; 3]>, Error> {
        let matrices = 2 * self.layers.len();
        let (form, gamma) = (Orthogonality::of(&self.config), self.config.gamma);
        let mut all = Vec::with_capacity(self.layers.len());
        for layer in &self.layers {
            let triplets = &layer.triplets;
            let (rank, [a, _, b]) = (triplets.rank(), layer.values());
            let own = gradient(effective, &triplets.path, a.len(), b.len())?;
            let [mut of_a, of_e, mut of_b] = triplets.gradients(own);
            form.add(gamma, matrices, rank, a, &mut of_a);
            let mut columns = vec![0.0; b.len()];
            form.add(gamma, matrices, rank, &transposed(b, rank), &mut columns);
            of_b.iter_mut().zip(transposed(&columns, triplets.outputs)).for_each(|(g, r)| *g += r);
            all.push([of_a, of_e, of_b]);
        }
        clip(&self.training.optimizer, all.iter_mut().flatten());
        Ok(all)
    }

    fn optimize(&mut self, gradients: &[[Vec<f32>; 3]], schedule: f64) {
        for (layer, gradients) in self.layers.iter_mut().zip(gradients) {
            let rate = layer.rate * schedule;
            let rates = [rate, rate, rate * self.training.rates.b_ratio];
            let Triplets { a, e, b, .. } = &mut layer.triplets;
            let tensors = [a, e, b].into_iter().zip(gradients).zip(rates);
            for (memory, ((values, gradient), rate)) in layer.memory.iter_mut().zip(tensors) {
                memory.step(&self.training.optimizer, rate, values, gradient);
            }
        }
    }

    fn measure(&mut self, gradients: &[[Vec<f32>; 3]]) {
        let AdaLoraConfig { beta1, beta2, .. } = self.config;
        for (layer, gradients) in self.layers.iter_mut().zip(gradients) {
            let Triplets { a, e, b, .. } = &layer.triplets;
            let tensors = [a, e, b].into_iter().zip(gradients);
            for (importance, (values, gradient)) in layer.importance.iter_mut().zip(tensors) {
                importance.update(values, gradient, beta1, beta2);
            }
        }
    }

    fn apply_mask(&mut self) {
        let Some(mask) = &self.mask else { return };
        let values = self.layers.iter_mut().flat_map(|layer| &mut layer.triplets.e);
        values.zip(mask).filter(|(_, keep)| !**keep).for_each(|(e, _)| *e = 0.0);
    }

    fn scaled(&self) -> impl Iterator<Item = (String, f64)> + '_ {
        self.layers.iter().map(|layer| (layer.triplets.path.clone(), layer.scale))
    }
}

/// Plain LoRA at the initial ranks.
fn initial(config: &AdaLoraConfig, plain: &AdapterConfig) -> AdapterConfig {
    let mut initial = plain.clone();
    initial.ranks.values_mut().for_each(|rank| *rank = scaled(*rank, config.init_ratio));
    initial
}

impl RankMethod for AdaLora {
    fn name(&self) -> &'static str {
        "adalora"
    }

    fn adapter(&self) -> Adapter {
        let factors = self.triplets().map(Triplets::effective).collect();
        by_layer(&self.adapter, self.scaled(), factors)
    }

    fn step(&mut self, feedback: &Feedback<'_>) -> Result<(), Error> {
        let gradients = self.gradients(feedback.gradients)?;
        self.optimize(&gradients, feedback.schedule);
        let (fixed_from, step) = (self.schedule.fixed_from(), feedback.step);
        if step < fixed_from {
            self.measure(&gradients);
        }
        let (budget, due) = self.schedule.at(step);
        if step == fixed_from || (due && step < fixed_from) {
            let scores: Vec<f32> = self.layers.iter().flat_map(Layer::scores).collect();
            self.mask = Some(mask::keep(&scores, budget));
            self.apply_mask();
        } else if step > fixed_from {
            self.apply_mask();
        }
        Ok(())
    }

    fn rank_map(&self) -> RankMap {
        let mut start = 0;
        let of = |layer: &Layer| {
            let (path, rank) = (layer.triplets.path.clone(), layer.triplets.rank());
            let own = start..start + rank;
            start += rank;
            let kept = self.mask.as_ref().map(|mask| mask[own].iter().filter(|keep| **keep).count());
            (path, kept.unwrap_or(rank))
        };
        self.layers.iter().map(of).collect()
    }

    fn result(&self) -> Adapter {
        let factors = self.triplets().filter_map(Triplets::compact).collect();
        by_layer(&self.adapter, self.scaled(), factors)
    }
}
