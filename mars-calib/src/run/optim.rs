//! The optimizer of a run: AdamW with a linear warm-up, a plateau and a linear decay.
//!
//! AdamW: Loshchilov and Hutter, arXiv 1711.05101. The schedule (warm-up, stable, decay) is a
//! function of the step and the horizon alone, so that a run stopped early and continued follows the
//! same rates as one that went straight through.

use crate::Error;
use serde::{Deserialize, Serialize};

/// Optimizer and learning-rate schedule; the rates themselves are per module, in the run spec.
/// The schedule is ours (linear up, constant, linear down, as in warm-up-stable-decay schedules); betas and
/// epsilon are PyTorch's defaults, weight decay 0 is not (PyTorch has 0.01). The order of a step is clip,
/// moments, decay, update.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OptimSpec {
    /// Length of the linear warm-up, optimizer steps. Default 10.
    pub warmup: usize,
    /// Part of the horizon over which the rate falls linearly towards 0, in [0, 1]. Default 0.3.
    pub decay_fraction: f64,
    /// Decoupled weight decay, >= 0. Default 0.
    pub weight_decay: f64,
    /// Decay of the first moment, in [0, 1). Default 0.9.
    pub beta1: f64,
    /// Decay of the second moment, in [0, 1). Default 0.999.
    pub beta2: f64,
    /// Added to the root of the second moment, > 0. Default 1e-8.
    pub epsilon: f64,
    /// Largest L2 norm of one adapter's gradient; larger ones are scaled down to it. Default 1.
    /// Clipping as `torch.nn.utils.clip_grad_norm_` does it; without a value there is none.
    pub clip_norm: Option<f64>,
}

impl Default for OptimSpec {
    fn default() -> Self {
        Self {
            warmup: 10,
            decay_fraction: 0.3,
            weight_decay: 0.0,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-8,
            clip_norm: Some(1.0),
        }
    }
}

impl OptimSpec {
    /// Factor on the learning rate at `step` (0 = the first) of a schedule of `horizon` steps, in (0, 1].
    ///
    /// `min((step + 1) / warmup, 1) * min((horizon - step) / (decay_fraction * horizon), 1)`: neither
    /// the first nor the last step has rate 0. Steps at and past the horizon keep the last rate.
    pub fn factor(&self, step: usize, horizon: usize) -> f64 {
        let step = step.min(horizon.saturating_sub(1));
        let up = if self.warmup == 0 { 1.0 } else { (step + 1) as f64 / self.warmup as f64 };
        let decay = self.decay_fraction * horizon as f64;
        let down = if decay < 1.0 { 1.0 } else { (horizon - step) as f64 / decay };
        up.min(1.0) * down.min(1.0)
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`Error::Spec`] naming the first field that is out of range.
    pub fn validate(&self) -> Result<(), Error> {
        let within = |field, value: f64, ok: bool, rule: &str| {
            if ok { Ok(()) } else { Err(Error::spec(field, value, rule)) }
        };
        let fraction = 0.0..=1.0;
        within(
            "decay_fraction",
            self.decay_fraction,
            fraction.contains(&self.decay_fraction),
            "it must lie in [0, 1]",
        )?;
        within(
            "weight_decay",
            self.weight_decay,
            self.weight_decay >= 0.0 && self.weight_decay.is_finite(),
            "it must be >= 0",
        )?;
        within("beta1", self.beta1, (0.0..1.0).contains(&self.beta1), "it must lie in [0, 1)")?;
        within("beta2", self.beta2, (0.0..1.0).contains(&self.beta2), "it must lie in [0, 1)")?;
        within("epsilon", self.epsilon, self.epsilon > 0.0 && self.epsilon.is_finite(), "it must be > 0")?;
        if let Some(norm) = self.clip_norm {
            within(
                "clip_norm",
                norm,
                norm > 0.0 && norm.is_finite(),
                "it must be > 0; leave it out for no clipping",
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_rises_holds_and_falls() {
        let optim = OptimSpec { warmup: 10, decay_fraction: 0.5, ..OptimSpec::default() };
        let rates: Vec<f64> = (0..100).map(|step| optim.factor(step, 100)).collect();
        assert_eq!(rates[0], 0.1);
        assert!(rates[..10].windows(2).all(|w| w[0] < w[1]));
        assert!(rates[9..51].iter().all(|rate| *rate == 1.0));
        assert!(rates[51..].windows(2).all(|w| w[0] > w[1]));
        assert_eq!(rates[99], 1.0 / 50.0);
        assert_eq!(optim.factor(1000, 100), rates[99]);
    }

    #[test]
    fn no_schedule_is_constant() {
        let flat = OptimSpec { warmup: 0, decay_fraction: 0.0, ..OptimSpec::default() };
        assert!((0..50).all(|step| flat.factor(step, 50) == 1.0));
        assert_eq!(flat.factor(0, 0), 1.0);
    }

    #[test]
    fn every_range_is_checked() {
        let good = OptimSpec::default();
        assert!(good.validate().is_ok());
        for bad in [
            OptimSpec { decay_fraction: 1.1, ..good },
            OptimSpec { weight_decay: -0.1, ..good },
            OptimSpec { beta1: 1.0, ..good },
            OptimSpec { beta2: f64::NAN, ..good },
            OptimSpec { epsilon: 0.0, ..good },
            OptimSpec { clip_norm: Some(0.0), ..good },
        ] {
            assert!(bad.validate().is_err(), "{bad:?}");
        }
    }
}
