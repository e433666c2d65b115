//! A task with its campaign and trainer, and the search on them.

use super::{result::kept_earlier, runner::CampaignRunner};
use crate::{
    Error, Interrupt, Task,
    config::{Facts, SearchConfig},
    event::{Event, Observer},
    plan::rehearsed_steps,
};
use mars_calib::{
    Campaign, Flow, OnChange, Progress, RunId, RunRecord, RunSpec, Settings, Stage, Trainer,
    native::{NativeOptions, NativeTrainer},
};
use mars_lora::{Adapter, Examples, Model};
use mars_search::{Budget, Decision, PolicySpec, Space, Trial, TrialResult};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// A finished search: its decision, every trial with its result, and the record behind each.
#[derive(Debug)]
pub(crate) struct Searched {
    pub(crate) decision: Decision,
    pub(crate) results: Vec<TrialResult>,
    pub(crate) records: BTreeMap<u32, RunRecord>,
}

/// A campaign with a trainer, whichever it is.
pub(crate) struct Engine<'a> {
    pub(crate) campaign: &'a mut Campaign,
    pub(crate) trainer: &'a mut dyn Trainer,
    pub(crate) config: &'a SearchConfig,
    pub(crate) observer: &'a mut dyn Observer,
    pub(crate) interrupt: &'a Interrupt,
    pub(crate) space: &'a Space,
}

impl Engine<'_> {
    /// Lets `policy` search to its decision.
    pub(crate) fn search(&mut self, policy: &PolicySpec, budget: &Budget) -> Result<Searched, Error> {
        let mut started = policy.build(self.space, budget)?;
        // An estimate for the progress: it must not end the search.
        let expected = rehearsed_steps(policy, self.space, budget, self.trainer.continues()).unwrap_or(0);
        let (decision, results, records) =
            self.with_runner(expected, policy.is_asynchronous(), |runner| {
                let (decision, results) = mars_search::search(&mut *started, runner)?.decided()?;
                Ok((decision, results, std::mem::take(&mut runner.records)))
            })?;
        self.observer.event(&Event::Decided(&decision));
        Ok(Searched { decision, results, records })
    }

    /// Does `trials`, which continue nothing.
    pub(crate) fn runs(&mut self, trials: &[Trial]) -> Result<Vec<RunRecord>, Error> {
        let expected = trials.iter().map(|trial| trial.steps as u64).sum();
        self.with_runner(expected, false, |runner| runner.round(trials))
    }

    fn with_runner<T>(
        &mut self,
        expected: u64,
        asynchronous: bool,
        work: impl FnOnce(&mut CampaignRunner<'_>) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let (template, rule) = (self.config.run_template(), self.config.rule());
        work(&mut CampaignRunner {
            campaign: &mut *self.campaign,
            trainer: &mut *self.trainer,
            template: &template,
            rule: &*rule,
            keep: self.config.keep(),
            observer: &mut *self.observer,
            interrupt: self.interrupt,
            asynchronous,
            records: BTreeMap::new(),
            expected,
            done: 0,
        })
    }
}

/// [`Campaign::open`], for this process alone, or [`Campaign::share`].
pub(super) type OpenCampaign = fn(&Path, Settings, OnChange) -> Result<Campaign, mars_calib::Error>;

/// A task with its campaign, trained by the native trainer.
pub(crate) struct Session<'a, M, E> {
    pub(crate) config: SearchConfig,
    pub(crate) task: &'a Task<M, E>,
    pub(crate) campaign: Campaign,
    pub(crate) trainer: NativeTrainer<'a, M, E>,
    pub(crate) observer: &'a mut dyn Observer,
    pub(crate) interrupt: Interrupt,
    pub(crate) space: Space,
    pub(crate) budget: Budget,
    pub(crate) out: PathBuf,
}

impl<'a, M, E> Session<'a, M, E>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    /// Opens the campaign for `task` in `out.dir` with `open`, and settles what depends on the amount of data.
    pub(super) fn open(
        config: SearchConfig,
        task: &'a Task<M, E>,
        more_fingerprints: BTreeMap<String, String>,
        (open, on_change): (OpenCampaign, OnChange),
        observer: &'a mut dyn Observer,
        interrupt: Interrupt,
    ) -> Result<Self, Error> {
        let (stack, workers) = (config.run.stack, config.run.workers);
        let (config, _) = task.settled(&config)?;
        let parameters_per_rank = task.parameters_per_rank(&config)?;
        let facts = Facts { samples: task.train.len(), parameters_per_rank };
        let mut fingerprints = fingerprints(&config, task);
        fingerprints.extend(more_fingerprints);
        // What fits into memory is found on each machine anew: others may go on with the campaign.
        let mut stored = config.clone();
        (stored.run.stack, stored.run.workers) = (stack, workers);
        let settings = stored.settings(&facts, fingerprints)?;
        let settings = Settings { compared: task.compared.clone(), ..settings };
        let out = config.out.dir.clone();
        let campaign = open(&out, settings, on_change)?;
        warn(&campaign, observer);
        let options = NativeOptions { start: task.start.clone(), ..config.native_options()? };
        let trainer = NativeTrainer::new(&task.model, &task.train, &task.val, options)
            .with_replicas(&task.replicas)
            .with_store(campaign.checkpoints());
        let space = config.space(facts.parameters_per_rank);
        let budget = config.budget(task.train.len(), config.train.seed);
        Ok(Self { config, task, campaign, trainer, observer, interrupt, space, budget, out })
    }

    /// The campaign with its trainer.
    pub(crate) fn engine(&mut self) -> Engine<'_> {
        Engine {
            campaign: &mut self.campaign,
            trainer: &mut self.trainer,
            config: &self.config,
            observer: &mut *self.observer,
            interrupt: &self.interrupt,
            space: &self.space,
        }
    }

    /// The adapter that is kept of a run; trained again if no checkpoint holds it.
    ///
    /// # Errors
    /// When a checkpoint cannot be read, and an interruption.
    pub(crate) fn kept(&mut self, record: &RunRecord) -> Result<Adapter, Error> {
        let last = self.adapter(&record.spec, &record.id)?;
        let Some(step) = kept_earlier(self.config.keep(), record) else { return Ok(last) };
        if let Some(best) = self.trainer.adapter_at(&record.spec, step)? {
            return Ok(best);
        }
        // Runs that were begun under train.keep = "last", or by versions which knew no other, kept the last adapter only. A run
        // that ends at the step of the best one ends with it.
        let until = RunSpec { steps: step, stop_when_overfit: false, ..record.spec.clone() };
        self.adapter(&until, &record.id)
    }

    /// The adapter at the end of `spec`, which is `run` or its beginning; trained again if its checkpoint is gone.
    fn adapter(&mut self, spec: &RunSpec, run: &RunId) -> Result<Adapter, Error> {
        if let Some(adapter) = self.trainer.adapter(spec)? {
            return Ok(adapter);
        }
        self.observer.event(&Event::TrainingAgain(run));
        let mut watch = Again { observer: &mut *self.observer, interrupt: &self.interrupt, error: None };
        self.trainer.train(std::slice::from_ref(spec), &mut watch);
        if let Some(error) = watch.error {
            return Err(error.into());
        }
        let on = self.interrupt.check();
        self.observer.event(if on.is_ok() { &Event::RoundDone } else { &Event::RoundStopped });
        on?;
        let lost = || Error::failed(format!("run {run} left no adapter of step {}", spec.steps));
        self.trainer.adapter(spec)?.ok_or_else(lost)
    }
}

/// Watches a run that is trained again.
struct Again<'a> {
    observer: &'a mut dyn Observer,
    interrupt: &'a Interrupt,
    error: Option<mars_calib::Error>,
}

impl mars_calib::Observer for Again<'_> {
    fn progress(&mut self, event: &Progress) -> Flow {
        let (done, total) = (event.step as u64, event.steps as u64);
        let progress = crate::event::Progress {
            done,
            total,
            search_done: done,
            search_expected: total,
            loss: event.loss.filter(|_| event.stage == Stage::Evaluate),
        };
        self.observer.event(&Event::Progress(progress));
        self.go_on()
    }

    fn go_on(&mut self) -> Flow {
        self.interrupt.flow()
    }

    fn storage_failed(&mut self, error: mars_calib::Error) -> Flow {
        self.error.get_or_insert(error);
        Flow::Stop
    }
}

/// What determines the results of a campaign's runs beside their specifications.
fn fingerprints<M, E>(config: &SearchConfig, task: &Task<M, E>) -> BTreeMap<String, String> {
    let mut all = task.fingerprints.clone();
    all.insert("targets".to_owned(), config.lora.targets.clone().unwrap_or_default());
    let evaluated = config.run.validation_samples.unwrap_or(0);
    all.insert("validation_samples".to_owned(), evaluated.to_string());
    all
}

/// Reports what had to be passed over when a campaign was opened.
pub(crate) fn warn(campaign: &Campaign, observer: &mut dyn Observer) {
    for warning in campaign.warnings() {
        observer.event(&Event::Warning(&warning.to_string()));
    }
}
