//! The hydra-style scheduler in training: warm-up, first allocation, reallocations.

use super::super::HydraConfig;
use super::super::adamw::{Memory, clip};
use super::super::host::{normals, stream};
use super::super::method::{Feedback, RankMap, RankMethod, adapted, by_layer, gradient};
use super::super::training::MethodTraining;
use super::{allocate::Limits, groups::groups, performance::Performance};
use crate::stack::first_values;
use crate::{AdaptedModule, Adapter, AdapterConfig, Error, Factors, Site};
use std::collections::BTreeMap;

/// Number of groups of layers; the middle one keeps its ranks.
const GROUPS: usize = 3;

/// One adapted matrix with what is remembered of it.
#[derive(Clone, Debug)]
struct Matrix {
    scale: f64,
    rate: f64,
    uniform: usize,
    /// Index of the layer that the matrix belongs to.
    layer: usize,
    factors: Factors,
    memory: [Memory; 2],
    /// Sum of gradient norms over the warm-up.
    slope: f64,
}

/// The scheduler, started.
/// Reallocates after step `warmup`, and then each `interval` steps until `last_change`. Layers grow by fresh
/// rows of A and zero columns of B (same function), and shrink to the nearest product of the lower rank.
#[derive(Clone, Debug)]
pub struct HydraStyle {
    config: HydraConfig,
    training: MethodTraining,
    adapter: AdapterConfig,
    limits: Limits,
    matrices: Vec<Matrix>,
    performance: Performance,
    /// Losses of the running window, and the mean of the one before.
    window: Vec<f64>,
    before: Option<f64>,
}

impl HydraStyle {
    /// Starts from a fresh plain LoRA. `adapter` gives the uniform ranks, the scale convention (at those ranks, throughout),
    /// targets and seed.
    ///
    /// # Errors
    /// As [`AdapterConfig::useful_ranks`] and [`HydraConfig::validate`]; [`Error::Variant`] for a configuration with
    /// DoRA, dropout or an init of its own.
    pub fn new(
        config: HydraConfig,
        training: MethodTraining,
        adapter: AdapterConfig,
        modules: &[AdaptedModule],
        sites: &[Site],
    ) -> Result<Self, Error> {
        config.validate()?;
        let adapted = adapted(&adapter, modules, sites)?;
        let mut layers: BTreeMap<&str, usize> = BTreeMap::new();
        let mut matrices = Vec::with_capacity(adapted.len());
        for (site, uniform) in &adapted {
            let factors = first_values::factors(adapter.init, adapter.seed, site, *uniform);
            let count = layers.len();
            matrices.push(Matrix {
                scale: adapter.scale.scale(*uniform),
                rate: training.rates.at(&site.module),
                uniform: *uniform,
                layer: *layers.entry(layer_of(&site.path)).or_insert(count),
                memory: [Memory::new(factors.a.len()), Memory::new(factors.b.len())],
                factors,
                slope: 0.0,
            });
        }
        let most = |(site, uniform): &(&Site, usize)| {
            ((*uniform as f64 * config.max_ratio) as usize).min(site.max_rank()).max(*uniform)
        };
        let costs: Vec<usize> = adapted.iter().map(|(site, _)| site.parameters_per_rank()).collect();
        let limits = Limits {
            budget: adapted.iter().zip(&costs).map(|((_, rank), cost)| rank * cost).sum(),
            least: adapted.iter().map(|(_, rank)| config.min_rank.min(*rank)).collect(),
            most: adapted.iter().map(most).collect(),
            costs,
        };
        let (performance, window) = (Performance::default(), Vec::new());
        Ok(Self { config, training, adapter, limits, matrices, performance, window, before: None })
    }

    /// Adapter parameters now, and the budget that they are held at.
    pub fn parameters(&self) -> (usize, usize) {
        (self.limits.parameters(&self.ranks()), self.limits.budget)
    }

    fn ranks(&self) -> Vec<usize> {
        self.matrices.iter().map(|matrix| matrix.factors.rank).collect()
    }

    fn optimize(&mut self, feedback: &Feedback<'_>) -> Result<(), Error> {
        let mut gradients: Vec<[Vec<f32>; 2]> = Vec::with_capacity(self.matrices.len());
        let warm = feedback.step <= self.config.warmup;
        for matrix in &mut self.matrices {
            let own = gradient(
                feedback.gradients,
                &matrix.factors.path,
                matrix.factors.a.len(),
                matrix.factors.b.len(),
            )?;
            if warm {
                let squares = own.a.iter().chain(&own.b).map(|g| f64::from(*g).powi(2));
                matrix.slope += squares.sum::<f64>().sqrt();
            }
            gradients.push([own.a.clone(), own.b.clone()]);
        }
        clip(&self.training.optimizer, gradients.iter_mut().flatten());
        for (matrix, [a, b]) in self.matrices.iter_mut().zip(&gradients) {
            let rate = matrix.rate * feedback.schedule;
            let ratio = self.training.rates.b_ratio;
            matrix.memory[0].step(&self.training.optimizer, rate, &mut matrix.factors.a, a);
            matrix.memory[1].step(&self.training.optimizer, rate * ratio, &mut matrix.factors.b, b);
        }
        Ok(())
    }

    /// Coarse and fine ranks from the gradient norms of the warm-up.
    /// `wanted = uniform * 2^(group - 1) * sqrt(n / mean n of its layer)`, n the summed gradient norm of a
    /// matrix and the group (0, 1, 2) that of the root of the sum of squares over the layer.
    fn first_ranks(&self) -> Option<Vec<usize>> {
        let layers = self.matrices.iter().map(|matrix| matrix.layer + 1).max().unwrap_or(0);
        let mut norms = vec![0.0; layers];
        let mut counts = vec![0usize; layers];
        for matrix in &self.matrices {
            norms[matrix.layer] += matrix.slope.powi(2);
            counts[matrix.layer] += 1;
        }
        let norms: Vec<f64> = norms.into_iter().map(f64::sqrt).collect();
        let group = groups(&norms, GROUPS);
        let mut means = vec![0.0; layers];
        for matrix in &self.matrices {
            means[matrix.layer] += matrix.slope / counts[matrix.layer] as f64;
        }
        let wanted = self.matrices.iter().map(|matrix| {
            let coarse = matrix.uniform as f64 * f64::powi(2.0, group[matrix.layer] as i32 - 1);
            let mean = means[matrix.layer];
            if mean > 0.0 { (coarse * (matrix.slope / mean).sqrt()).max(1e-3) } else { coarse }
        });
        self.limits.allocate(&wanted.collect::<Vec<_>>())
    }

    /// Logarithms of ranks over the uniform ones.
    /// `log2(rank / uniform)` of each matrix.
    fn features(&self, ranks: &[usize]) -> Vec<f64> {
        let ratio = |(rank, matrix): (&usize, &Matrix)| (*rank as f64 / matrix.uniform as f64).log2();
        ranks.iter().zip(&self.matrices).map(ratio).collect()
    }

    /// The most promising of the present ranks and random perturbations of them.
    /// Perturbed ranks are `rank * exp(spread z)` with z standard normal, brought to the budget. The one with
    /// the least `mean - deviation` is taken if it is below that of the present ranks; without a model, the
    /// first perturbation is.
    fn next_ranks(&self, step: usize) -> Option<Vec<usize>> {
        let now = self.ranks();
        let mut rng = stream(self.adapter.seed, "hydra-style", &step.to_string());
        let perturbed = (0..self.config.candidates).filter_map(|_| {
            let draws = normals(&mut rng, now.len());
            let moved = now.iter().zip(draws).map(|(rank, z)| *rank as f64 * (self.config.spread * z).exp());
            self.limits.allocate(&moved.collect::<Vec<_>>())
        });
        let Some(model) = self.performance.fit() else { return perturbed.take(1).next() };
        let bound = |ranks: &[usize]| {
            let (mean, deviation) = model.predict(&self.features(ranks));
            mean - deviation
        };
        let best = perturbed.min_by(|a, b| bound(a).total_cmp(&bound(b)))?;
        (bound(&best) < bound(&now)).then_some(best)
    }

    /// Grows and cuts layers. The moments are kept in layers that grow, and reset in those that are cut, whose
    /// coordinates change.
    fn resize(&mut self, ranks: &[usize]) {
        for (matrix, rank) in self.matrices.iter_mut().zip(ranks) {
            let (old, inputs) = (matrix.factors.rank, matrix.factors.inputs);
            if *rank > old {
                let site = Site::linear(&matrix.factors.path, "", inputs, matrix.factors.outputs);
                let fresh = first_values::factors(self.adapter.init, self.adapter.seed, &site, *rank);
                matrix.factors = matrix.factors.grown(&fresh);
                let (a, b) = (matrix.factors.a.len(), matrix.factors.b.len());
                let of_b = |i: usize| (i % rank < old).then(|| i / rank * old + i % rank);
                matrix.memory = [
                    matrix.memory[0].rearranged(a, |i| (i < old * inputs).then_some(i)),
                    matrix.memory[1].rearranged(b, of_b),
                ];
            } else if *rank < old {
                matrix.factors = matrix.factors.truncated(*rank).0;
                matrix.memory = [Memory::new(matrix.factors.a.len()), Memory::new(matrix.factors.b.len())];
            }
        }
    }

    fn shown(&self) -> Adapter {
        let scales = self.matrices.iter().map(|matrix| (matrix.factors.path.clone(), matrix.scale));
        by_layer(&self.adapter, scales, self.matrices.iter().map(|matrix| matrix.factors.clone()).collect())
    }
}

impl RankMethod for HydraStyle {
    fn name(&self) -> &'static str {
        "hydra-style"
    }

    fn adapter(&self) -> Adapter {
        self.shown()
    }

    fn step(&mut self, feedback: &Feedback<'_>) -> Result<(), Error> {
        self.optimize(feedback)?;
        self.window.push(feedback.loss);
        let HydraConfig { warmup, interval, last_change, .. } = self.config;
        let step = feedback.step;
        if step < warmup || !(step - warmup).is_multiple_of(interval) {
            return Ok(());
        }
        let mean = self.window.iter().sum::<f64>() / self.window.len() as f64;
        self.window.clear();
        if let Some(before) = self.before {
            self.performance.observe(self.features(&self.ranks()), (mean / before).ln());
        }
        self.before = Some(mean);
        let next = match step {
            _ if step > last_change => None,
            _ if step == warmup => self.first_ranks(),
            _ => self.next_ranks(step),
        };
        // The decomposition of what is not finite would not end; such a run has diverged.
        let finite = |f: &Factors| f.a.iter().chain(&f.b).all(|v| v.is_finite());
        if let Some(ranks) = next.filter(|_| self.matrices.iter().all(|matrix| finite(&matrix.factors))) {
            self.resize(&ranks);
        }
        Ok(())
    }

    fn rank_map(&self) -> RankMap {
        self.matrices.iter().map(|matrix| (matrix.factors.path.clone(), matrix.factors.rank)).collect()
    }

    fn result(&self) -> Adapter {
        self.shown()
    }
}

/// The part of a module path up to its last number: the transformer block; without one, all but the last part.
fn layer_of(path: &str) -> &str {
    let mut ends = path.match_indices('.').map(|(at, _)| at).chain([path.len()]).rev();
    let number = |end: &usize| {
        let part = path[..*end].rsplit('.').next().unwrap_or_default();
        !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit())
    };
    match ends.find(number) {
        Some(end) => &path[..end],
        None => path.rsplit_once('.').map_or(path, |(parent, _)| parent),
    }
}

#[cfg(test)]
mod tests {
    use super::layer_of;

    #[test]
    fn matrices_belong_to_their_block() {
        assert_eq!(layer_of("model.text_model.layers.11.mlp.up_proj"), "model.text_model.layers.11");
        assert_eq!(layer_of("model.text_model.layers.1.self_attn.q_proj"), "model.text_model.layers.1");
        assert_eq!(
            layer_of("model.connector.modality_projection.proj"),
            "model.connector.modality_projection"
        );
        assert_eq!(layer_of("experts.3.w.12"), "experts.3.w.12");
        assert_eq!(layer_of("proj"), "proj");
    }
}
