//! GeoLoRA in training: augmentation steps, coefficient steps, truncation.

use super::super::GeoLoraConfig;
use super::super::adamw::{Memory, clip};
use super::super::host::{blank, matrix, row_major};
use super::super::method::{Feedback, RankMap, RankMethod, adapted, by_layer, gradient};
use super::super::training::{MethodTraining, scaled};
use super::{GeoLayer, layer::needed, share};
use crate::{AdaptedModule, Adapter, AdapterConfig, Error, Factors, Site};
use nalgebra::DMatrix;

#[derive(Clone, Debug)]
struct Layer {
    path: String,
    scale: f64,
    rate: f64,
    most: usize,
    factors: GeoLayer,
    memory: Memory,
}

impl Layer {
    fn restart(&mut self) {
        self.memory = Memory::new(self.factors.rank().pow(2));
    }

    /// `A = U^T`, `B = V S^T`; with `asking` a block of zeros in A next to V in B, whose gradient is `(G V)^T`.
    fn plain(&self, asking: bool) -> Factors {
        let GeoLayer { u, s, v } = &self.factors;
        let rank = self.factors.rank();
        let width = if asking { 2 * rank } else { rank };
        let mut b = (v * s.transpose()).resize_horizontally(width, 0.0);
        if asking {
            b.columns_mut(rank, rank).copy_from(v);
        }
        let mut factors = blank(&self.path, width, u.nrows(), v.nrows());
        let a = row_major(&u.transpose());
        factors.a[..a.len()].copy_from_slice(&a);
        factors.b = row_major(&b);
        factors
    }
}

/// Gradients of one layer: `L = G^T U`, and `K = G V` where it was asked for.
struct Slopes {
    l: DMatrix<f64>,
    k: Option<DMatrix<f64>>,
}

/// Bounds of the ranks that GeoLoRA may reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RankLimits {
    /// Largest rank of a layer; it never exceeds the smaller side of the layer.
    pub max_rank: usize,
    /// Most singular values of all layers together; `None` for no common budget.
    pub total: Option<usize>,
}

/// GeoLoRA, started.
/// A round is one augmentation and `coefficient_steps` AdamW steps on S, and ends with a truncation; the last one ends with
/// training, so that the bounds hold then too.
/// Augmentations read `k = G V` from a block of zeros in A, so the adapter shown for those passes has twice the
/// rank.
#[derive(Clone, Debug)]
pub struct GeoLora {
    config: GeoLoraConfig,
    limits: RankLimits,
    training: MethodTraining,
    adapter: AdapterConfig,
    layers: Vec<Layer>,
    /// Steps taken.
    steps: usize,
}

impl GeoLora {
    /// Starts from random bases with S = 0, so from the identity. `adapter` gives initial ranks, scale convention (at the initial
    /// rank, throughout), targets and seed; the layers together keep the sum of their initial ranks.
    ///
    /// # Errors
    /// As [`with_limits`](Self::with_limits).
    pub fn new(
        config: GeoLoraConfig,
        training: MethodTraining,
        adapter: AdapterConfig,
        modules: &[AdaptedModule],
        sites: &[Site],
    ) -> Result<Self, Error> {
        let ranks = adapter.useful_ranks(modules, sites)?;
        let largest = ranks.iter().copied().max().unwrap_or(1);
        let limits =
            RankLimits { max_rank: scaled(largest, config.max_ratio), total: Some(ranks.iter().sum()) };
        Self::with_limits(config, limits, training, adapter, modules, sites)
    }

    /// As [`new`](Self::new) with bounds of one's own in place of `max_ratio` and the sum of the initial ranks.
    ///
    /// # Errors
    /// As [`AdapterConfig::useful_ranks`] and [`GeoLoraConfig::validate`]; [`Error::BadValue`] for a `max_rank` below
    /// `min_rank`; [`Error::Variant`] for a configuration with DoRA, dropout or an init of its own.
    pub fn with_limits(
        config: GeoLoraConfig,
        limits: RankLimits,
        training: MethodTraining,
        adapter: AdapterConfig,
        modules: &[AdaptedModule],
        sites: &[Site],
    ) -> Result<Self, Error> {
        config.validate()?;
        if limits.max_rank < config.min_rank {
            let value = limits.max_rank as f64;
            return Err(Error::BadValue { name: "max_rank", value, expected: "at least min_rank" });
        }
        let start = |(site, rank): (&Site, usize)| {
            let most = limits.max_rank.min(site.max_rank());
            let first = rank.clamp(config.min_rank.min(most), most);
            let mut layer = Layer {
                path: site.path.clone(),
                scale: adapter.scale.scale(rank),
                rate: training.rates.at(&site.module),
                most,
                factors: GeoLayer::fresh(&site.path, site.inputs, site.outputs, first, adapter.seed),
                memory: Memory::new(0),
            };
            layer.restart();
            layer
        };
        let layers = adapted(&adapter, modules, sites)?.into_iter().map(start).collect();
        Ok(Self { config, limits, training, adapter, layers, steps: 0 })
    }

    /// The layers' bases and coefficients, by path.
    pub fn layers(&self) -> impl Iterator<Item = (&str, &GeoLayer)> {
        self.layers.iter().map(|layer| (layer.path.as_str(), &layer.factors))
    }

    /// Whether step `step` (counted from 1) widens the bases.
    /// Steps 1, 2 + c, 3 + 2 c, .. for c coefficient steps, up to `last_augmentation`. `step` is at least 1.
    pub fn augments(&self, step: usize) -> bool {
        step <= self.config.last_augmentation && (step - 1).is_multiple_of(self.config.coefficient_steps + 1)
    }

    /// Whether step `step` ends a round that began with an augmentation.
    fn truncates(&self, step: usize) -> bool {
        let round = self.config.coefficient_steps + 1;
        let begun = (step - 1) / round * round + 1;
        let ends = step.is_multiple_of(round) || step == self.training.steps;
        ends && begun <= self.config.last_augmentation
    }

    fn slopes(&self, gradients: &[Factors], asked: bool) -> Result<Vec<Slopes>, Error> {
        let of = |layer: &Layer| {
            let (rank, inputs, outputs) =
                (layer.factors.rank(), layer.factors.u.nrows(), layer.factors.v.nrows());
            let width = if asked { 2 * rank } else { rank };
            let own = gradient(gradients, &layer.path, width * inputs, outputs * width)?;
            let l = matrix(outputs, width, &own.b).columns(0, rank).into_owned();
            let k = asked.then(|| matrix(rank, inputs, &own.a[rank * inputs..]).transpose());
            Ok(Slopes { l, k })
        };
        self.layers.iter().map(of).collect()
    }

    /// The factor is `min(1, clip_norm / (norm + 1e-6))`, the norm over `k` and `l` of all layers.
    fn augment(&mut self, slopes: &[Slopes], schedule: f64) {
        // Clipped as the gradients of U and V together would be; S is part of both.
        let norm =
            slopes.iter().map(|s| s.l.norm_squared() + s.k.as_ref().map_or(0.0, DMatrix::norm_squared));
        let norm = norm.sum::<f64>().sqrt();
        let factor = self.training.optimizer.clip_norm.map_or(1.0, |most| (most / (norm + 1e-6)).min(1.0));
        for (layer, slopes) in self.layers.iter_mut().zip(slopes) {
            if let Some(k) = &slopes.k {
                layer.factors.augment(k, &slopes.l, layer.rate * schedule * factor, layer.most);
                layer.restart();
            }
        }
    }

    /// An optimizer step on all S; `dL/dS = U^T G V = L^T V`.
    fn coefficients(&mut self, slopes: &[Slopes], schedule: f64) {
        let of = |(layer, slopes): (&Layer, &Slopes)| row_major(&(slopes.l.transpose() * &layer.factors.v));
        let mut gradients: Vec<Vec<f32>> = self.layers.iter().zip(slopes).map(of).collect();
        clip(&self.training.optimizer, &mut gradients);
        for (layer, gradient) in self.layers.iter_mut().zip(&gradients) {
            let rank = layer.factors.rank();
            let mut values = row_major(&layer.factors.s);
            layer.memory.step(&self.training.optimizer, layer.rate * schedule, &mut values, gradient);
            layer.factors.s = matrix(rank, rank, &values);
        }
    }

    /// Each layer asks for the rank that `tau` leaves; a common budget then keeps the largest singular values
    /// of all layers.
    fn truncate(&mut self) {
        let GeoLoraConfig { tau, min_rank, .. } = self.config;
        let values: Vec<Vec<f64>> = self.layers.iter().map(|layer| layer.factors.singular_values()).collect();
        let wanted =
            self.layers.iter().zip(&values).map(|(layer, own)| {
                needed(own, tau).clamp(min_rank.min(layer.most), layer.most).min(own.len())
            });
        let wanted: Vec<usize> = wanted.collect();
        let ranks = match self.limits.total {
            Some(total) => share::ranks(&values, &wanted, min_rank, total),
            None => wanted,
        };
        for (layer, rank) in self.layers.iter_mut().zip(ranks) {
            layer.factors.truncate(rank);
            layer.restart();
        }
    }

    fn shown(&self, asking: bool) -> Adapter {
        let factors = self.layers.iter().map(|layer| layer.plain(asking)).collect();
        by_layer(&self.adapter, self.layers.iter().map(|layer| (layer.path.clone(), layer.scale)), factors)
    }
}

impl RankMethod for GeoLora {
    fn name(&self) -> &'static str {
        "geolora"
    }

    fn adapter(&self) -> Adapter {
        self.shown(self.augments(self.steps + 1))
    }

    fn step(&mut self, feedback: &Feedback<'_>) -> Result<(), Error> {
        let step = self.steps + 1;
        let augments = self.augments(step);
        let slopes = self.slopes(feedback.gradients, augments)?;
        if augments {
            self.augment(&slopes, feedback.schedule);
        } else {
            self.coefficients(&slopes, feedback.schedule);
        }
        if self.truncates(step) {
            self.truncate();
        }
        self.steps = step;
        Ok(())
    }

    fn rank_map(&self) -> RankMap {
        self.layers.iter().map(|layer| (layer.path.clone(), layer.factors.rank())).collect()
    }

    fn result(&self) -> Adapter {
        self.shown(false)
    }
}
