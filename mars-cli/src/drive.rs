//! The loop between a policy, which asks for trials, and a campaign, which does and remembers them.

use crate::{
    console::Console,
    failure::{Exit, Failure},
    interrupt::Interrupt,
    watch::Watch,
};
use anyhow::Result;
use mars_calib::variant::Init;
use mars_calib::{
    Campaign, Convergence, ConvergenceRule, MethodSpec, OptimSpec, RunEnd, RunRecord, RunSpec,
    ScaleConvention, Trainer, Variant,
};
use mars_laws::Ranks;
use mars_search::{
    Answer, Cost, Decision, Method, Policy, Role, Runner, Trial, TrialEnd, TrialResult, search,
};
use std::collections::BTreeMap;

/// What all runs of a campaign share: how a trial becomes a run.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) batch: usize,
    /// Steps between evaluations of runs at full length.
    pub(crate) eval_every: usize,
    /// Steps between evaluations of calibration runs.
    pub(crate) calibration_eval_every: usize,
    /// Whether runs may end once their convergence time is certain: certain by the default definition only.
    pub(crate) settles: bool,
    pub(crate) learning_rates: BTreeMap<String, f64>,
    /// The module whose rate is the same in all methods.
    pub(crate) reference: String,
    pub(crate) scale: ScaleConvention,
    pub(crate) optim: OptimSpec,
    pub(crate) variant: Variant,
}

impl Recipe {
    /// The run that does `trial` in a campaign with this fingerprint.
    pub(crate) fn spec(
        &self,
        trial: &Trial,
        earlier: &BTreeMap<u32, RunRecord>,
        fingerprint: &str,
    ) -> RunSpec {
        let eval_every = match trial.role {
            Role::Alone | Role::Joint => self.calibration_eval_every,
            Role::Race | Role::Final => self.eval_every,
        };
        // A method that moves ranks is compared as it is, whatever the variant of the others.
        let method = trial.method.and_then(|method| settings(method, trial.horizon));
        RunSpec {
            ranks: trial.ranks.clone(),
            samples: trial.samples,
            seed: trial.seed,
            batch: self.batch,
            steps: trial.steps,
            horizon: trial.horizon,
            eval_every,
            evaluate_from: trial.evaluate_from,
            until_settled: trial.stop_when_converged && self.settles,
            learning_rates: self.rates(trial.method),
            scale: self.scale,
            optim: self.optim,
            variant: match trial.method {
                Some(Method::Eva) => Variant { init: Init::Eva, ..self.variant },
                _ if method.is_some() => Variant::default(),
                _ => self.variant,
            },
            method,
            fingerprint: fingerprint.to_owned(),
            continues: trial.continues.and_then(|id| earlier.get(&id)).map(|record| record.id.clone()),
        }
    }
}

impl Recipe {
    /// Learning rates under a method.
    fn rates(&self, method: Option<Method>) -> BTreeMap<String, f64> {
        let Some(Method::DiffLr(ratio)) = method else { return self.learning_rates.clone() };
        let divided = |(module, rate): (&String, &f64)| {
            let rate = if *module == self.reference { *rate } else { rate / f64::from(ratio) };
            (module.clone(), rate)
        };
        self.learning_rates.iter().map(divided).collect()
    }

    /// The convention of all runs by this recipe in a campaign with this fingerprint.
    pub(crate) fn convention(&self, fingerprint: &str) -> String {
        let any = Trial {
            id: 0,
            role: Role::Final,
            ranks: Ranks::new(),
            samples: 1,
            seed: 0,
            steps: 1,
            horizon: 1,
            evaluate_from: 0,
            stop_when_converged: false,
            continues: None,
            method: None,
        };
        self.spec(&any, &BTreeMap::new(), fingerprint).convention()
    }
}

/// The settings of a method for a run of `steps` steps; `None` for what is plain LoRA.
fn settings(method: Method, steps: usize) -> Option<MethodSpec> {
    match method {
        Method::AdaLora => Some(MethodSpec::adalora(steps)),
        Method::GeoLora => Some(MethodSpec::geolora(steps)),
        Method::HydraStyle => Some(MethodSpec::hydra_style(steps)),
        _ => None,
    }
}

/// A search from its first question to its decision.
#[derive(Debug)]
pub(crate) struct Driven {
    pub(crate) decision: Decision,
    /// Every trial of the search with its result.
    pub(crate) results: Vec<TrialResult>,
    /// The record behind each trial.
    pub(crate) records: BTreeMap<u32, RunRecord>,
}

/// What a search is driven with.
pub(crate) struct Driver<'a> {
    pub(crate) campaign: &'a mut Campaign,
    pub(crate) trainer: &'a mut dyn Trainer,
    pub(crate) recipe: &'a Recipe,
    pub(crate) rule: &'a dyn ConvergenceRule,
    pub(crate) console: Console,
    pub(crate) interrupt: &'a Interrupt,
}

impl Driver<'_> {
    /// Does what `policy` asks for until it decides.
    ///
    /// # Errors
    /// A failure with [`Exit::Interrupted`] when the user stopped it; errors of the policy and the campaign.
    pub(crate) fn drive(&mut self, policy: &mut dyn Policy) -> Result<Driven> {
        let mut runner = CampaignRunner { driver: self, records: BTreeMap::new() };
        let (decision, results) = search(policy, &mut runner)?.decided()?;
        Ok(Driven { decision, results, records: runner.records })
    }

    /// One round of trials, done or looked up.
    pub(crate) fn round(
        &mut self,
        trials: &[Trial],
        earlier: &BTreeMap<u32, RunRecord>,
    ) -> Result<Vec<RunRecord>> {
        let fingerprint = self.campaign.settings().fingerprint();
        let specs: Vec<RunSpec> =
            trials.iter().map(|trial| self.recipe.spec(trial, earlier, &fingerprint)).collect();
        let missing: Vec<&RunSpec> =
            specs.iter().filter(|spec| !self.campaign.records().contains_key(&spec.id())).collect();
        let label = label(trials);
        if missing.len() < specs.len() {
            let known = specs.len() - missing.len();
            self.console.say(format!("{label}: {known} of {} runs are done already", specs.len()));
        }
        let started = |spec: &RunSpec| {
            let before = spec.continues.as_ref().and_then(|id| self.campaign.records().get(id));
            before.map_or(0, |record| record.spec.steps)
        };
        let starts = missing.iter().map(|spec| (spec.id(), started(spec), spec.steps)).collect();
        let mut watch = Watch::new(self.console, &label, starts, self.interrupt);
        let records = self.campaign.run(self.trainer, &specs, &mut watch);
        watch.finish();
        let records = records?;
        if records.iter().any(|record| record.end == RunEnd::Interrupted) {
            return Err(
                Failure::new(Exit::Interrupted, "interrupted; the same call goes on from here").into()
            );
        }
        Ok(records)
    }
}

/// Answers a policy with the runs of a campaign, which trains those that it has no record of.
struct CampaignRunner<'d, 'a> {
    driver: &'d mut Driver<'a>,
    /// The record behind each trial so far.
    records: BTreeMap<u32, RunRecord>,
}

impl Runner for CampaignRunner<'_, '_> {
    type Error = anyhow::Error;

    fn run(&mut self, trials: &[Trial]) -> Result<Answer> {
        let done = self.driver.round(trials, &self.records)?;
        let results = results(self.driver.rule, trials, &done, &self.records);
        self.records.extend(trials.iter().map(|trial| trial.id).zip(done));
        Ok(Answer::Results(results))
    }
}

/// What the records of `trials`, in their order, mean to a policy.
pub(crate) fn results(
    rule: &dyn ConvergenceRule,
    trials: &[Trial],
    done: &[RunRecord],
    earlier: &BTreeMap<u32, RunRecord>,
) -> Vec<TrialResult> {
    trials.iter().zip(done).map(|(trial, record)| result(rule, trial, record, earlier)).collect()
}

/// What the record of a trial means to a policy; `earlier` holds what it may have continued.
pub(crate) fn result(
    rule: &dyn ConvergenceRule,
    trial: &Trial,
    record: &RunRecord,
    earlier: &BTreeMap<u32, RunRecord>,
) -> TrialResult {
    let before = trial.continues.and_then(|id| earlier.get(&id));
    let extra = |of: fn(&RunRecord) -> f64| (of(record) - before.map_or(0.0, of)).max(0.0);
    let cost = Cost {
        flops: extra(|record| record.flops),
        eval_flops: extra(|record| record.eval_flops),
        wall_s: extra(|record| record.wall_s),
    };
    let curve = record.val.iter().map(|point| (point.step, point.loss)).collect();
    let blocks = record.val_blocks.last().filter(|last| last.step == trial.steps);
    let blocks = blocks.map(|last| last.losses.iter().map(|loss| f64::from(*loss)).collect());
    let result = TrialResult::finished(trial, curve, cost)
        .with_blocks(blocks.unwrap_or_default())
        .with_end(end(&record.end));
    match (trial.role == Role::Alone).then(|| rule.of(record)) {
        Some(Convergence::Reached { step }) => result.with_convergence(step),
        Some(Convergence::Censored { why }) => result.with_censored(why.to_string()),
        None => result,
    }
}

/// The end of a run as a policy is told it.
pub(crate) fn end(end: &RunEnd) -> TrialEnd {
    match end {
        RunEnd::Finished | RunEnd::Converged => TrialEnd::Finished,
        RunEnd::Diverged { step } => TrialEnd::Diverged { step: *step },
        RunEnd::Failed { why } => TrialEnd::Failed { why: why.clone() },
        RunEnd::Interrupted => TrialEnd::Failed { why: "interrupted".into() },
    }
}

fn label(trials: &[Trial]) -> String {
    let any = |role| trials.iter().any(|trial| trial.role == role);
    let (name, count) = match trials {
        [] => return "nothing".into(),
        _ if any(Role::Final) => return "fine-tuning".into(),
        [only] => return format!("training {}", only.ranks),
        _ if any(Role::Race) => ("racing", trials.len()),
        _ => ("calibrating", trials.len()),
    };
    format!("{name} ({count} runs)")
}
