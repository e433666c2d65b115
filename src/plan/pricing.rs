//! What training costs: FLOPs of a run, and the speed of this machine.

use crate::{Error, Task, config::SearchConfig};
use mars_laws::Ranks;
use mars_lora::{AdapterConfig, AdapterStack, Examples, Model};
use mars_search::{Budget, Cost, Space, Trial};
use mars_vlm::model::{AnyModel, EncodedExamples};
use std::time::Instant;

/// Longest time for which forward passes are measured, seconds.
const MEASURED_S: f64 = 0.5;
/// Most forward passes that are measured.
const PASSES: u32 = 100;

/// Prices of runs on a task in FLOPs, by its model and its first training batch.
pub(super) struct FlopPrices<'a, M: Model, E> {
    config: &'a SearchConfig,
    task: &'a Task<M, E>,
    batch: M::Batch,
}

impl<'a, M, E> FlopPrices<'a, M, E>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    pub(super) fn of(config: &'a SearchConfig, task: &'a Task<M, E>) -> Result<Self, Error> {
        let rows: Vec<usize> = (0..config.train.batch).map(|index| index % task.train.len()).collect();
        let batch = task.train.batch(&[rows], &task.model.device())?;
        Ok(Self { config, task, batch })
    }

    /// FLOPs of a trial that trains from step `from`; its time is not told.
    pub(super) fn cost(&self, trial: &Trial, from: usize) -> Result<Cost, Error> {
        let (eval_every, validation) = if trial.role.is_calibration() {
            (self.config.calibration.eval_every, self.config.run_template().calibration_validation)
        } else {
            (self.config.train.eval_every, None)
        };
        let evaluations = evaluations(trial, from, eval_every.unwrap_or(trial.steps).max(1));
        Ok(Cost {
            flops: self.flops(&trial.ranks, trial.steps.saturating_sub(from), 0, validation)?,
            eval_flops: self.flops(&trial.ranks, 0, evaluations, validation)?,
            wall_s: 0.0,
        })
    }

    /// FLOPs of so many steps of a run with so many evaluations, on at most so many validation samples.
    pub(super) fn flops(
        &self,
        ranks: &Ranks,
        steps: usize,
        evaluations: usize,
        most: Option<usize>,
    ) -> Result<f64, Error> {
        let model = &self.task.model;
        let targets = self.config.lora.targets()?;
        let adapter = AdapterConfig { targets, ..AdapterConfig::new(ranks.iter(), 0) };
        let sites = adapter.site_ranks(model.modules(), model.sites())?;
        let pass = model.flops(&self.batch, &[sites]).first().copied().unwrap_or_default();
        let validation = self.config.run.validation_samples.unwrap_or(usize::MAX).min(self.task.val.len());
        let validation = most.unwrap_or(usize::MAX).min(validation);
        let evaluation = pass.forward * validation as f64 / self.config.train.batch as f64;
        Ok(steps as f64 * (pass.forward + pass.backward) + evaluations as f64 * evaluation)
    }

    /// FLOPs of a final run with all its evaluations.
    pub(super) fn final_run(&self, ranks: &Ranks, budget: &Budget) -> Result<f64, Error> {
        self.flops(ranks, budget.steps, 1 + budget.steps.div_ceil(budget.eval_every.max(1)), None)
    }
}

/// The same with the speed of this machine.
pub(super) struct Pricing<'a> {
    pub(super) prices: FlopPrices<'a, AnyModel, EncodedExamples>,
    /// FLOPs per second, measured on forward passes.
    pub(super) rate: f64,
}

impl<'a> Pricing<'a> {
    /// Measures forward passes of the first training batch.
    pub(super) fn measure(
        config: &'a SearchConfig,
        task: &'a Task<AnyModel, EncodedExamples>,
    ) -> Result<Self, Error> {
        let prices = FlopPrices::of(config, task)?;
        let (model, batch) = (&task.model, &prices.batch);
        let base = AdapterStack::base(1, model);
        let once = || model.forward(batch, &base, false).losses.into_data();
        once();
        let (started, mut passes) = (Instant::now(), 0);
        while passes == 0 || (started.elapsed().as_secs_f64() < MEASURED_S && passes < PASSES) {
            once();
            passes += 1;
        }
        let flops: f64 = model.flops(batch, base.ranks()).iter().map(|pass| pass.forward).sum();
        let rate = f64::from(passes) * flops / started.elapsed().as_secs_f64();
        Ok(Self { prices, rate })
    }
}

/// What the full grid of the candidate ranks costs, in final runs at the ranks `unit`; `None` where the grid has too many tuples
/// to be listed, some do not fit the model, or the model counts no FLOPs.
pub(crate) fn grid_price<M, E>(
    config: &SearchConfig,
    task: &Task<M, E>,
    (space, budget): (&Space, &Budget),
    unit: &Ranks,
) -> Option<f64>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    let grid = space.grid().ok()?;
    let prices = FlopPrices::of(config, task).ok()?;
    let unit = prices.final_run(unit, budget).ok()?;
    let all = grid.iter().map(|ranks| prices.final_run(ranks, budget)).sum::<Result<f64, Error>>().ok()?;
    Some(all / unit).filter(|price| price.is_finite())
}

/// Evaluations of a trial after step `from`, with that of step 0 where it begins there: at every multiple of `every`, but
/// for those before the step from which it is evaluated, and at its end.
pub(crate) fn evaluations(trial: &Trial, from: usize, every: usize) -> usize {
    // Multiples of `every` up to and with the step, 0 not among them.
    let up_to = |step: usize| step / every;
    let unseen = trial.evaluate_from.saturating_sub(1).max(from).min(trial.steps);
    let on_grid = trial.steps.is_multiple_of(every) && trial.steps >= trial.evaluate_from;
    let last = trial.steps > from && !on_grid;
    usize::from(from == 0) + (up_to(trial.steps) - up_to(unseen)) + usize::from(last)
}

#[cfg(test)]
mod tests {
    use super::evaluations;
    use mars_laws::Ranks;
    use mars_search::{Role, Trial};

    #[test]
    fn evaluations_are_counted_as_if_they_were_listed() {
        for (steps, from, evaluate_from, every) in [
            (96, 0, 0, 8),
            (96, 32, 0, 8),
            (96, 32, 40, 8),
            (97, 0, 24, 8),
            (32, 0, 32, 8),
            (32, 24, 24, 8),
            (5, 0, 0, 8),
            (40, 8, 100, 8),
            (7, 7, 0, 1),
            (5, 0, 0, 8),
            (5, 0, 5, 1000),
            (100, 96, 200, 8),
        ] {
            let ranks = Ranks::new().with("llm", 4);
            let trial = Trial { horizon: 100, evaluate_from, ..Trial::new(Role::Race, ranks, 1, steps) };
            let listed = (from..=steps)
                .skip(usize::from(from > 0))
                .filter(|step| {
                    let due = step.is_multiple_of(every) && *step >= evaluate_from;
                    due || *step == 0 || *step == steps
                })
                .count();
            assert_eq!(evaluations(&trial, from, every), listed, "{steps} {from} {evaluate_from} {every}");
        }
    }
}
