//! A rank search as one call: [`Search`].
mod adapter;
mod calibrate;
mod card;
mod choose;
mod deliver;
mod external;
mod left;
mod observations;
mod outcome;
mod provenance;
mod result;
mod runner;
mod session;
mod snapshot;
mod status;
mod template;

pub use calibrate::CalibratedRun;
pub use choose::{Choice, Chosen, choose};
pub use left::Left;
pub use observations::observations;
pub(crate) use observations::observations_of;
pub use outcome::{SearchCost, SearchOutcome, Summary};
pub(crate) use result::{convergence_time, kept_earlier, trial_end};
pub(crate) use session::{Engine, Searched, Session};
pub use status::{Stage, Status, StatusRun, StatusState, status};
pub(crate) use template::RunTemplate;

use crate::{
    Error, Interrupt, Task,
    compare::Comparison,
    config::SearchConfig,
    event::{Event, Observer, Silent},
    plan::{Plan, Probe, restarts},
};
use mars_calib::{Campaign, OnChange, Trainer};
use mars_lora::{Examples, Model};
use mars_search::{Budget, PolicySpec, Space};
use mars_vlm::model::{AnyModel, EncodedExamples};
use session::OpenCampaign;
use std::{collections::BTreeMap, path::Path};

/// A search for LoRA ranks: a configuration, who watches, and what can stop it.
///
/// ```no_run
/// # fn main() -> Result<(), mars::Error> {
/// use mars::{Search, SearchConfig, Task, event::Event};
///
/// let mut config = SearchConfig::default();
/// config.search.ranks = vec![8, 16, 32, 64];
/// let task = Task::open("SmolVLM-256M-Instruct", "train.json")?;
/// let mut log = |event: &Event<'_>| {
///     if let Event::Run(record) = event {
///         eprintln!("{}: {}", record.spec.ranks, record.end);
///     }
/// };
/// let outcome = Search::new(config).observe(&mut log).run(&task, "run")?;
/// println!("{}", outcome.report.display());
/// # Ok(())
/// # }
/// ```
pub struct Search<'a> {
    config: SearchConfig,
    observer: Option<&'a mut dyn Observer>,
    interrupt: Interrupt,
    on_change: OnChange,
    fingerprints: BTreeMap<String, String>,
}

impl Search<'static> {
    /// A search that nothing watches, stops by nothing but an error, and refuses a campaign with other settings.
    pub fn new(config: SearchConfig) -> Self {
        Self {
            config,
            observer: None,
            interrupt: Interrupt::new(),
            on_change: OnChange::Refuse,
            fingerprints: BTreeMap::new(),
        }
    }
}

impl<'a> Search<'a> {
    /// The same search, which reports everything that happens to `observer`.
    #[must_use]
    pub fn observe<'b>(self, observer: &'b mut dyn Observer) -> Search<'b> {
        let Self { config, interrupt, on_change, fingerprints, .. } = self;
        Search { config, observer: Some(observer), interrupt, on_change, fingerprints }
    }

    /// The same search, stopped when `interrupt` is requested.
    #[must_use]
    pub fn interrupt(self, interrupt: Interrupt) -> Self {
        Self { interrupt, ..self }
    }

    /// The same search, which goes on in a directory whose campaign has other settings: what fits is used again.
    #[must_use]
    pub fn accept_changes(self, accept: bool) -> Self {
        Self { on_change: if accept { OnChange::Accept } else { OnChange::Refuse }, ..self }
    }

    /// The same search, whose runs are never taken for those of a search with another `digest` of `what` (`model`, `train`,
    /// `trainer`, ...). A digest is any text that changes whenever it does; a [`Task`] that was opened has its own.
    #[must_use]
    pub fn with_fingerprint(mut self, what: &str, digest: impl Into<String>) -> Self {
        self.fingerprints.insert(what.to_owned(), digest.into());
        self
    }

    /// Searches ranks for `task` to the end: trials, decision, adapter, report, all in the directory `out`. What is
    /// recorded there is not trained again, so that an interrupted search continues. `out` overrides `config.out.dir`.
    ///
    /// The sections `model` and `data`, `run.device`, `run.compute` and `run.feature_cache` count when a task is opened: where the
    /// configuration leaves them at their defaults, they are those of the task; other values than the task's are an error of usage.
    ///
    /// # Errors
    /// Wrong settings, a campaign that is locked or has other settings, too little memory, a full disk, a search in which
    /// every candidate failed, an interruption; see [`Error::kind`].
    pub fn run<M, E>(self, task: &Task<M, E>, out: impl AsRef<Path>) -> Result<SearchOutcome, Error>
    where
        M: Model,
        E: Examples<Batch = M::Batch>,
    {
        let mut silent = Silent;
        let (mut session, policy) = self.open(task, out.as_ref(), Campaign::open, &mut silent)?;
        let budget = session.budget.clone();
        let searched = session.engine().search(&policy, &budget)?;
        deliver::native(&mut session, &policy, &searched)
    }

    /// Searches ranks with a trainer of one's own: every run goes through `trainer`, and the result is the decision with
    /// the report. `space` and `budget` override what the configuration says of modules, candidates, steps and sizes.
    ///
    /// What the trainer trains, and on which data, is not known here: say it with
    /// [`with_fingerprint`](Self::with_fingerprint), so that its runs are not taken for those of another.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    pub fn run_with(
        self,
        trainer: &mut dyn Trainer,
        space: &Space,
        budget: &Budget,
        out: impl AsRef<Path>,
    ) -> Result<SearchOutcome, Error> {
        let out = out.as_ref();
        self.external(trainer, (space, budget), out, Campaign::open, |mut engine, policy| {
            let searched = engine.search(policy, budget)?;
            deliver::external(engine, policy, budget, &searched, out)
        })
    }

    /// Searches ranks with the command of `[trainer]`, on `samples` training samples.
    ///
    /// # Errors
    /// As for [`run`](Self::run); an error of usage when `trainer.kind` is not `command`, or the number of samples is 0.
    pub fn run_command(mut self, samples: usize, out: impl AsRef<Path>) -> Result<SearchOutcome, Error> {
        let (mut trainer, space, budget) = self.command(samples, out.as_ref())?;
        self.caution(samples);
        if let (Some(observer), false) = (&mut self.observer, trainer.continues())
            && let Some(caution) = restarts(&self.config.policy(), &space, &budget)
        {
            observer.event(&Event::Warning(&caution));
        }
        self.run_with(&mut trainer, &space, &budget, out)
    }

    /// Lets every one of `policies` search with each of `seeds` seeds in one campaign, with the same accounting for all. The
    /// options of each policy count as they are given;
    /// [`SearchSection::with_options`](crate::config::SearchSection::with_options) fills in those of the configuration.
    ///
    /// # Errors
    /// As for [`run`](Self::run); a search in which every candidate failed is a row without a perplexity.
    pub fn compare<M, E>(
        self,
        task: &Task<M, E>,
        out: impl AsRef<Path>,
        policies: &[PolicySpec],
        seeds: u64,
    ) -> Result<Comparison, Error>
    where
        M: Model,
        E: Examples<Batch = M::Batch>,
    {
        let mut silent = Silent;
        let (mut session, _) = self.open(task, out.as_ref(), Campaign::open, &mut silent)?;
        crate::compare::compare(&mut session, policies, seeds)
    }

    /// What a search would train, cost and hold in memory, without training.
    ///
    /// # Errors
    /// Wrong settings, or a task that cannot be read.
    pub fn plan(&self, task: &Task<AnyModel, EncodedExamples>) -> Result<Plan, Error> {
        crate::plan::plan(&self.config, task)
    }

    /// What a search would take, from a few steps of each kind of its runs, which are trained and thrown away.
    ///
    /// # Errors
    /// As for [`plan`](Self::plan); a run of the probe that fails, an interruption.
    pub fn probe(&self, task: &Task<AnyModel, EncodedExamples>) -> Result<Probe, Error> {
        crate::plan::probe_native(&self.config, task, &self.interrupt)
    }

    fn open<'s, M, E>(
        self,
        task: &'s Task<M, E>,
        out: &Path,
        how: OpenCampaign,
        silent: &'s mut Silent,
    ) -> Result<(Session<'s, M, E>, PolicySpec), Error>
    where
        'a: 's,
        M: Model,
        E: Examples<Batch = M::Batch>,
    {
        self.config.check()?;
        self.config.check_native()?;
        let policy = self.config.policy();
        let observer: &'s mut dyn Observer = match self.observer {
            Some(observer) => observer,
            None => silent,
        };
        let mut config = self.config;
        config.out.dir = out.to_owned();
        config.out.check_dir()?;
        for caution in config.resolved(task.train.len(), task.val.len()).cautions(task.train.len()) {
            observer.event(&Event::Warning(&caution));
        }
        let opening = (how, self.on_change);
        let session = Session::open(config, task, self.fingerprints, opening, observer, self.interrupt)?;
        Ok((session, policy))
    }
}
