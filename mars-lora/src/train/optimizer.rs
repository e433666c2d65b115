//! AdamW for a stack of adapters: each adapter has its own clipping, moments, step count and learning rates.
//!
//! Loshchilov and Hutter 2019 (arXiv 1711.05101), in PyTorch's order of operations: clip the global norm of the
//! adapter, decay the weights by `lr * weight_decay`, then `m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon)`.

use crate::ops;
use crate::stack::host::rows;
use crate::{AdamWConfig, AdapterStack, Error, Factors, LearningRates};
use burn::tensor::{Tensor, TensorData};

/// Adam's memory of one adapter, on the host.
#[derive(Clone, Debug, PartialEq)]
pub struct Moments {
    /// Steps taken.
    pub steps: usize,
    /// First moments, as factors.
    pub first: Vec<Factors>,
    /// Second moments, as factors.
    pub second: Vec<Factors>,
}

/// The optimizer of one [`AdapterStack`].
/// A step, in this order, with learning rate `lr = rate(module) * schedule[k]` for A and `lr * b_ratio` for B
/// (LoRA+, arXiv 2402.12354) and for DoRA's magnitudes:
///
/// 1. `g *= min(1, clip_norm / (norm(g) + 1e-6))`, the norm over all factors of the adapter (`clip_grad_norm_`);
/// 2. `m = b1 m + (1 - b1) g` and `v = b2 v + (1 - b2) g^2`;
/// 3. `w -= lr * weight_decay * w`;
/// 4. `w -= lr * m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + epsilon)`, t the adapter's own steps.
///
/// A gradient that is not a number makes that adapter's factors so, and no other's.
#[derive(Clone, Debug)]
pub struct StackedAdamW {
    config: AdamWConfig,
    by_adapter: Vec<LearningRates>,
    /// Learning rates, `[K, P]`, or `[K, 1]` if each adapter has only one.
    rates: Tensor<2>,
    first: Tensor<2>,
    second: Tensor<2>,
    steps: Vec<usize>,
}

impl StackedAdamW {
    /// Fresh moments for `stack`; `rates[k]` belong to adapter k.
    /// The ranges: betas in [0, 1), `epsilon` and `clip_norm` positive. Weight decay and rates are not checked
    /// here.
    ///
    /// # Errors
    /// [`Error::BadValue`] for a setting outside its range.
    pub fn new(config: AdamWConfig, stack: &AdapterStack, rates: &[LearningRates]) -> Result<Self, Error> {
        for (name, beta) in [("beta1", config.beta1), ("beta2", config.beta2)] {
            if !(0.0..1.0).contains(&beta) {
                return Err(Error::BadValue { name, value: beta, expected: "a number in [0, 1)" });
            }
        }
        for (name, value) in [("epsilon", config.epsilon), ("clip_norm", config.clip_norm.unwrap_or(1.0))] {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::BadValue { name, value, expected: "a positive number" });
            }
        }
        let zeros = stack.flat().zeros_like();
        let (by_adapter, steps) = (rates.to_vec(), vec![0; stack.len()]);
        let rates = rate_matrix(stack, rates);
        Ok(Self { config, by_adapter, rates, first: zeros.clone(), second: zeros, steps })
    }

    /// One step. `gradients` is `[K, P]` as from [`AdapterStack::gradients`]; `schedule[k]` in [0, 1]
    /// multiplies the learning rates of adapter k.
    /// `schedule` has K entries; clipping does not depend on it.
    pub fn step(&mut self, stack: &mut AdapterStack, gradients: Tensor<2>, schedule: &[f64]) {
        let AdamWConfig { beta1, beta2, epsilon, weight_decay, clip_norm } = self.config;
        let device = gradients.device();
        let column = |values: Vec<f64>| {
            let values: Vec<f32> = values.into_iter().map(|v| v as f32).collect();
            let rows = values.len();
            Tensor::<2>::from_data(TensorData::new(values, [rows, 1]), &device)
        };
        self.steps.iter_mut().for_each(|t| *t += 1);
        let gradients = match clip_norm {
            // Norms stay on a GPU: to bring them back is to wait for it.
            Some(most) if !ops::on_cpu(&device) => {
                let norms = gradients.clone().square().sum_dim(1).sqrt();
                gradients * norms.add_scalar(1e-6).recip().mul_scalar(most).clamp_max(1.0)
            }
            Some(most) => {
                let norms = stack.norms(&gradients).into_iter();
                let factors =
                    norms.map(|norm| if norm.is_nan() { norm } else { (most / (norm + 1e-6)).min(1.0) });
                gradients * column(factors.collect())
            }
            None => gradients,
        };
        self.first = self.first.clone().mul_scalar(beta1) + gradients.clone().mul_scalar(1.0 - beta1);
        self.second = self.second.clone().mul_scalar(beta2) + gradients.square().mul_scalar(1.0 - beta2);
        let corrected = |beta: f64, t: &usize| 1.0 - beta.powi(i32::try_from(*t).unwrap_or(i32::MAX));
        let root = column(self.steps.iter().map(|t| corrected(beta2, t).sqrt().recip()).collect());
        let denominator = (self.second.clone().sqrt() * root).add_scalar(epsilon);
        let size = column(self.steps.iter().zip(schedule).map(|(t, s)| s / corrected(beta1, t)).collect());
        let update = self.first.clone() / denominator * (self.rates.clone() * size);
        let mut flat = stack.flat();
        if weight_decay > 0.0 {
            let kept = self.rates.clone() * column(schedule.iter().map(|s| -s * weight_decay).collect());
            flat = flat * kept.add_scalar(1.0);
        }
        stack.set_flat(flat - update);
    }

    /// Only the adapters `keep`, as [`AdapterStack::keep`].
    #[must_use]
    pub fn keep(&self, keep: &[usize]) -> Self {
        Self {
            config: self.config.clone(),
            by_adapter: keep.iter().map(|k| self.by_adapter[*k].clone()).collect(),
            rates: rows(&self.rates, keep),
            first: rows(&self.first, keep),
            second: rows(&self.second, keep),
            steps: keep.iter().map(|k| self.steps[*k]).collect(),
        }
    }

    /// This optimizer for `stack`, which [`AdapterStack::join`] made of `before` with more adapters at its end:
    /// fresh moments for those, and `rates` for them.
    #[must_use]
    pub fn join(&self, before: &AdapterStack, stack: &AdapterStack, rates: &[LearningRates]) -> Self {
        let mut moments = self.moments(before);
        let fresh = stack.unpad(&stack.flat().zeros_like()).into_iter().skip(moments.len());
        moments.extend(fresh.map(|zeros| Moments { steps: 0, first: zeros.clone(), second: zeros }));
        let all: Vec<LearningRates> = self.by_adapter.iter().chain(rates).cloned().collect();
        let mut joined = Self { by_adapter: all, ..self.clone() };
        joined.rates = rate_matrix(stack, &joined.by_adapter);
        joined.restore(stack, moments);
        joined
    }

    /// The moments of each adapter, on the host.
    pub fn moments(&self, stack: &AdapterStack) -> Vec<Moments> {
        let (first, second) = (stack.unpad(&self.first), stack.unpad(&self.second));
        let both = first.into_iter().zip(second).zip(&self.steps);
        both.map(|((first, second), steps)| Moments { steps: *steps, first, second }).collect()
    }

    /// Puts back what [`moments`](Self::moments) gave, in the order of the stack.
    /// `moments` has one entry for each adapter of `stack`, with its paths and ranks; factors without one get
    /// zeros.
    pub fn restore(&mut self, stack: &AdapterStack, moments: Vec<Moments>) {
        let device = self.first.device();
        self.steps = moments.iter().map(|m| m.steps).collect();
        let (first, second): (Vec<_>, Vec<_>) = moments.into_iter().map(|m| (m.first, m.second)).unzip();
        self.first = stack.pad(&first, &device);
        self.second = stack.pad(&second, &device);
    }
}

/// `[K, P]`, or `[K, 1]` when no adapter has rates that differ between its factors.
fn rate_matrix(stack: &AdapterStack, rates: &[LearningRates]) -> Tensor<2> {
    let slots = &stack.layout.slots;
    let of = |rates: &LearningRates| -> Vec<(usize, f64)> {
        let pairs = slots.iter().flat_map(|slot| {
            let rate = rates.at(&slot.module);
            let rest = slot.b(slot.rank).len() + slot.magnitude().len();
            [(slot.a(slot.rank).len(), rate), (rest, rate * rates.b_ratio)]
        });
        pairs.collect()
    };
    let spans: Vec<Vec<(usize, f64)>> = rates.iter().map(of).collect();
    let uniform = spans.iter().all(|row| row.iter().all(|(_, rate)| *rate == row[0].1));
    let values: Vec<f32> = if uniform {
        spans.iter().map(|row| row.first().map_or(0.0, |(_, rate)| *rate as f32)).collect()
    } else {
        let cells = spans.iter().flatten();
        cells.flat_map(|(width, rate)| std::iter::repeat_n(*rate as f32, *width)).collect()
    };
    let width = values.len() / rates.len().max(1);
    Tensor::from_data(TensorData::new(values, [rates.len(), width]), &stack.flat().device())
}
