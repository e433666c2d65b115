//! What search, tune, calibrate and compare have in common: an open task with its campaign.

use crate::{
    args::Place,
    cmd::Context,
    config::Config,
    drive::{Driven, Driver, Recipe},
    failure::{Exit, Failure},
    interrupt::Interrupt,
    memory::Memory,
    observed,
    watch::Watch,
    workshop::Workshop,
};
use anyhow::Result;
use mars_calib::{
    Campaign, ConvergenceRule, OnChange, RunRecord, RunSpec, Settings, Trainer,
    native::{NativeTrainer, evaluate},
};
use mars_lora::{Adapter, AdapterStack, Examples};
use mars_search::{Budget, Policy, PolicySpec, Trial};
use mars_vlm::model::{AnyModel, EncodedExamples};
use serde::Serialize;
use std::{collections::BTreeMap, time::Instant};

/// The trainer of this program.
pub(crate) type Native<'a> = NativeTrainer<'a, AnyModel, EncodedExamples>;

/// An open task with its campaign.
pub(crate) struct Session<'a> {
    pub(crate) context: &'a Context,
    pub(crate) config: &'a Config,
    pub(crate) workshop: &'a Workshop,
    pub(crate) campaign: Campaign,
    pub(crate) trainer: Native<'a>,
    pub(crate) interrupt: Interrupt,
    pub(crate) started: Instant,
}

/// How a model does on a split.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Score {
    pub(crate) loss: f64,
    pub(crate) perplexity: f64,
    pub(crate) accuracy: f64,
}

impl<'a> Session<'a> {
    /// Opens the campaign of `config` for `workshop`.
    pub(crate) fn open(
        context: &'a Context,
        config: &'a Config,
        workshop: &'a Workshop,
        place: &Place,
    ) -> Result<Self> {
        Memory::estimate(config, workshop)?.check()?;
        let interrupt = Interrupt::listen()?;
        let facts = observed::Facts {
            samples: workshop.train.len(),
            parameters_per_rank: workshop.parameters_per_rank(config)?,
        };
        let (shared, plan) = observed::divide(config, &facts)?;
        let settings = Settings { config: shared, plan, fingerprints: workshop.fingerprints.clone() };
        let on_change = if place.accept_changes { OnChange::Accept } else { OnChange::Refuse };
        let campaign = Campaign::open(&config.out.dir, settings, on_change)?;
        for warning in campaign.warnings() {
            context.console.warn(warning.to_string());
        }
        let trainer = NativeTrainer::new(&workshop.model, &workshop.train, &workshop.val, config.native()?)
            .with_store(campaign.checkpoints());
        Ok(Self { context, config, workshop, campaign, trainer, interrupt, started: Instant::now() })
    }

    /// Starts a policy.
    pub(crate) fn policy(&self, policy: &PolicySpec, budget: &Budget) -> Result<Box<dyn Policy>> {
        let space = self.config.space(self.workshop.parameters_per_rank(self.config)?);
        Ok(self.config.policy(policy).build(&space, budget)?)
    }

    /// Runs a search by `policy` to its decision.
    pub(crate) fn search(&mut self, policy: &PolicySpec, budget: &Budget) -> Result<Driven> {
        let mut policy = self.policy(policy, budget)?;
        let (recipe, rule) = (self.config.recipe(), self.config.rule()?);
        self.driver(&recipe, &*rule).drive(&mut *policy)
    }

    /// Does `trials`, which continue nothing.
    pub(crate) fn runs(&mut self, trials: &[Trial]) -> Result<Vec<RunRecord>> {
        let (recipe, rule) = (self.config.recipe(), self.config.rule()?);
        self.driver(&recipe, &*rule).round(trials, &BTreeMap::new())
    }

    fn driver<'s>(&'s mut self, recipe: &'s Recipe, rule: &'s dyn ConvergenceRule) -> Driver<'s> {
        Driver {
            campaign: &mut self.campaign,
            trainer: &mut self.trainer,
            recipe,
            rule,
            console: self.context.console,
            interrupt: &self.interrupt,
        }
    }

    /// The adapter at the end of a run; trained again if its checkpoint is gone.
    pub(crate) fn adapter(&mut self, spec: &RunSpec) -> Result<Adapter> {
        if let Some(adapter) = self.trainer.adapter(spec)? {
            return Ok(adapter);
        }
        self.context.console.say(format!("the checkpoint of run {} is gone: training it again", spec.id()));
        let runs = vec![(spec.id(), 0, spec.steps)];
        let mut watch = Watch::new(self.context.console, "training again", runs, &self.interrupt);
        self.trainer.train(std::slice::from_ref(spec), &mut watch);
        watch.finish();
        if self.interrupt.requested() {
            return Err(
                Failure::new(Exit::Interrupted, "interrupted; the same call goes on from here").into()
            );
        }
        let lost = || Failure::new(Exit::Failed, format!("run {} left no adapter", spec.id()));
        Ok(self.trainer.adapter(spec)?.ok_or_else(lost)?)
    }

    /// The base model, with an adapter or without, on the test split.
    pub(crate) fn test(&self, adapter: Option<&Adapter>) -> Result<Score> {
        score(self.workshop, &self.workshop.test, adapter, self.config.run.eval_batch)
    }
}

/// The base model of `workshop`, with an adapter or without, on `examples`.
pub(crate) fn score(
    workshop: &Workshop,
    examples: &EncodedExamples,
    adapter: Option<&Adapter>,
    batch: usize,
) -> Result<Score> {
    let stack = match adapter {
        Some(adapter) => AdapterStack::new(std::slice::from_ref(adapter), &workshop.model)?,
        None => AdapterStack::base(1, &workshop.model),
    };
    let rows: Vec<usize> = (0..examples.len()).collect();
    let all = evaluate(&workshop.model, examples, &rows, batch, &stack)?;
    Ok(all.first().map_or(Score { loss: f64::NAN, perplexity: f64::NAN, accuracy: f64::NAN }, |one| Score {
        loss: one.loss(),
        perplexity: one.perplexity(),
        accuracy: one.accuracy(),
    }))
}
