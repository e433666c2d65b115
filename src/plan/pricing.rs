//! What training costs: FLOPs of a run, and the speed of this machine.

use crate::{Error, Task, config::SearchConfig};
use mars_laws::Ranks;
use mars_lora::{AdapterConfig, AdapterStack, Examples, Model};
use mars_search::{Role, Trial};
use mars_vlm::model::{AnyModel, EncodedExamples, VlmBatch};
use std::{ops::Range, time::Instant};

/// Longest time for which forward passes are measured, seconds.
const MEASURED_S: f64 = 0.5;
/// Most forward passes that are measured.
const PASSES: u32 = 100;

/// Prices of runs on a task.
pub(super) struct Pricing<'a> {
    config: &'a SearchConfig,
    task: &'a Task<AnyModel, EncodedExamples>,
    batch: VlmBatch,
    /// FLOPs per second, measured on forward passes.
    pub(super) rate: f64,
}

impl<'a> Pricing<'a> {
    /// Measures forward passes of the first training batch.
    pub(super) fn measure(
        config: &'a SearchConfig,
        task: &'a Task<AnyModel, EncodedExamples>,
    ) -> Result<Self, Error> {
        let (model, train) = (&task.model, &task.train);
        let rows: Vec<usize> = (0..config.train.batch).map(|index| index % train.len()).collect();
        let batch = train.batch(&[rows], &model.device())?;
        let base = AdapterStack::base(1, model);
        let once = || model.forward(&batch, &base, false).losses.into_data();
        once();
        let (started, mut passes) = (Instant::now(), 0);
        while passes == 0 || (started.elapsed().as_secs_f64() < MEASURED_S && passes < PASSES) {
            once();
            passes += 1;
        }
        let flops: f64 = model.flops(&batch, base.ranks()).iter().map(|pass| pass.forward).sum();
        let rate = f64::from(passes) * flops / started.elapsed().as_secs_f64();
        Ok(Self { config, task, batch, rate })
    }

    /// FLOPs of a trial that trains from step `from`.
    pub(super) fn trial_flops(&self, trial: &Trial, from: usize) -> Result<f64, Error> {
        let eval_every = match trial.role {
            Role::Alone | Role::Joint => self.config.calibration.eval_every,
            Role::Race | Role::Final => self.config.train.eval_every,
        };
        let eval_every = eval_every.unwrap_or(trial.steps.max(1));
        let seen = |step: &usize| *step == 0 || *step >= trial.evaluate_from;
        let steps = (from..=trial.steps).skip(usize::from(from > 0));
        let evaluations = steps.filter(|step| step.is_multiple_of(eval_every)).filter(seen).count();
        self.flops(&trial.ranks, from..trial.steps, evaluations)
    }

    /// FLOPs of so many steps of a run with so many evaluations.
    pub(super) fn flops(&self, ranks: &Ranks, steps: Range<usize>, evaluations: usize) -> Result<f64, Error> {
        let model = &self.task.model;
        let targets = self.config.lora.targets()?;
        let adapter = AdapterConfig { targets, ..AdapterConfig::new(ranks.iter(), 0) };
        let sites = adapter.site_ranks(model.modules(), model.sites())?;
        let pass = model.flops(&self.batch, &[sites]).first().copied().unwrap_or_default();
        let validation = self.config.run.validation_samples.unwrap_or(usize::MAX).min(self.task.val.len());
        let evaluation = pass.forward * validation as f64 / self.config.train.batch as f64;
        Ok(steps.len() as f64 * (pass.forward + pass.backward) + evaluations as f64 * evaluation)
    }
}
