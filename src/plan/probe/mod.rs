//! What a search will take, from a few measured steps of the trainer that is configured.
//!
//! The runs that a policy is expected to ask for are those of a [rehearsal](super::rehearse). A few steps of each kind among
//! them are trained and thrown away; times and costs of all follow from these.
mod command;
mod line;
mod native;
mod stacks;
mod usage;

pub use usage::Seconds;

use super::Condition;
use super::rehearsal::{Price, Rehearsed, RehearsedTrial, rehearse_priced};
use crate::{Error, ErrorKind, Interrupt, config::SearchConfig, search::RunTemplate};
use mars_calib::{Flow, Observer, Progress, RunEnd, RunRecord};
use mars_laws::Ranks;
use mars_search::{Budget, PolicySpec, Role, Space, Trial};
use serde::Serialize;

pub(crate) use command::probe_command;
pub(crate) use native::probe_native;

/// What a search is expected to take.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Probe {
    /// Name of the policy.
    pub policy: String,
    /// What of the settings is probably not meant.
    pub cautions: Vec<String>,
    /// Optimizer steps that were trained to know, and thrown away.
    pub measured_steps: usize,
    /// What that took.
    pub measured: Seconds,
    /// Processes that wanted a processor meanwhile, averaged over the last minute; `None` where the system does not say. Where
    /// they are more than there are processors, times on the clock are longer than on a machine of one's own.
    pub load: Option<f64>,
    /// The parts of the search in their order; those without runs are left out.
    pub phases: Vec<ProbedPhase>,
    /// All of them.
    pub total: Expense,
    /// One fine-tune at `ranks`, from its first step: the unit of `fine_tunes`.
    pub fine_tune: Expense,
    /// The ranks that win if convergence times and losses follow usual laws, by which all choices are within the tolerance of each other and
    /// the cheapest is taken.
    pub ranks: Ranks,
    /// The full grid of the candidate ranks, which the search replaces; `None` where it has too many tuples to be listed.
    pub grid: Option<ProbedPhase>,
    /// The most memory that training took: of this process, or of one process of the command; bytes. Memory of devices is not
    /// among it. `None` where the system does not say.
    pub peak_memory: Option<f64>,
}

/// A part of a search.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ProbedPhase {
    /// Which one.
    pub phase: Phase,
    /// Its runs.
    pub runs: usize,
    /// Their optimizer steps, without those of a run that another goes on from.
    pub steps: usize,
    /// What they take, one stack or one run after another.
    pub expense: Expense,
    /// On what the numbers depend that only the search can measure; `None` where they are certain.
    pub condition: Option<Condition>,
}

/// The parts of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Phase {
    /// Runs of one module alone, or of all on a part of the data.
    Calibration,
    /// Choices of ranks that are compared.
    Race,
    /// The run whose adapter stays.
    Final,
    /// All choices at full length.
    Grid,
}

/// What runs take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Expense {
    /// Time.
    #[serde(flatten)]
    pub seconds: Seconds,
    /// Model FLOPs of training and evaluation; `None` where the trainer tells none.
    pub flops: Option<f64>,
    /// In units of one fine-tune: by FLOPs, or by time where there are none.
    pub fine_tunes: Option<f64>,
}

impl Expense {
    fn new(seconds: Seconds, flops: Option<f64>) -> Self {
        Self { seconds, flops: flops.filter(|flops| *flops > 0.0), fine_tunes: None }
    }

    fn plus(self, other: Self) -> Self {
        let flops = self.flops.zip(other.flops).map(|(one, other)| one + other);
        Self::new(self.seconds.plus(other.seconds, 1.0), flops)
    }

    /// The same in units of `fine_tune`.
    fn in_units_of(self, fine_tune: Self) -> Self {
        let by_flops = self.flops.zip(fine_tune.flops).map(|(own, unit)| own / unit);
        let by_time = (fine_tune.seconds.wall > 0.0).then(|| self.seconds.wall / fine_tune.seconds.wall);
        Self { fine_tunes: by_flops.or(by_time), ..self }
    }
}

/// Knows what trials take.
trait Prices {
    /// What `trials`, which a policy asks for at the same time, take.
    fn expense(&self, trials: &[&RehearsedTrial]) -> Result<Expense, Error>;
}

/// The trials of a search, and of the grid that it replaces.
struct Expected {
    policy: String,
    trials: Vec<RehearsedTrial>,
    grid: Option<Vec<RehearsedTrial>>,
    fine_tune: RehearsedTrial,
    template: RunTemplate,
}

impl Expected {
    /// Of the resolved `config`, whose trials cost what `price` says; `continues` says whether the trainer continues runs from
    /// checkpoints.
    fn of(
        config: &SearchConfig,
        (space, budget): (&Space, &Budget),
        continues: bool,
        price: &Price<'_>,
    ) -> Result<Self, Error> {
        let played = |policy: &PolicySpec| -> Result<Rehearsed, Error> {
            rehearse_priced(policy, (space, budget), continues, price)
        };
        let policy = config.policy();
        let foreseen = played(&policy)?;
        let last = foreseen.decision.trial;
        let evaluate_from = foreseen.trials.iter().find(|step| step.trial.id == last);
        let fine_tune = Trial {
            seed: budget.seed,
            evaluate_from: evaluate_from.map_or(0, |step| step.trial.evaluate_from),
            ..Trial::new(Role::Final, foreseen.decision.ranks, budget.samples, budget.steps)
        };
        Ok(Self {
            policy: policy.to_string(),
            trials: foreseen.trials,
            grid: played(&PolicySpec::Grid).ok().map(|grid| grid.trials),
            fine_tune: RehearsedTrial { trial: fine_tune, from: 0, round: 0 },
            template: config.run_template(),
        })
    }

    /// What all of it takes by `prices`.
    fn priced(&self, prices: &dyn Prices) -> Result<(Vec<ProbedPhase>, Option<ProbedPhase>, Expense), Error> {
        let unit = prices.expense(&[&self.fine_tune])?;
        let last = self.fine_tune.trial.steps;
        let whole = self.trials.iter().filter(|step| step.trial.steps == last).count();
        let phase = |step: &RehearsedTrial| match step.trial.role {
            Role::Alone | Role::Joint => Phase::Calibration,
            Role::Final => Phase::Final,
            Role::Race if step.trial.steps == last && whole == 1 => Phase::Final,
            Role::Race => Phase::Race,
        };
        let mut phases = Vec::new();
        for of in [Phase::Calibration, Phase::Race, Phase::Final] {
            let own: Vec<&RehearsedTrial> = self.trials.iter().filter(|step| phase(step) == of).collect();
            phases.extend(self.summed(of, &own, prices, unit)?);
        }
        let grid: Option<Vec<&RehearsedTrial>> = self.grid.as_ref().map(|grid| grid.iter().collect());
        let grid = grid.map(|grid| self.summed(Phase::Grid, &grid, prices, unit)).transpose()?.flatten();
        Ok((phases, grid, unit.in_units_of(unit)))
    }

    /// What `trials` take together; nothing if there are none.
    fn summed(
        &self,
        phase: Phase,
        trials: &[&RehearsedTrial],
        prices: &dyn Prices,
        unit: Expense,
    ) -> Result<Option<ProbedPhase>, Error> {
        let mut sum: Option<Expense> = None;
        for round in trials.chunk_by(|one, other| one.round == other.round) {
            let own = prices.expense(round)?;
            sum = Some(sum.map_or(own, |sum| sum.plus(own)));
        }
        let conditions = || trials.iter().filter_map(|step| Condition::of(step, &self.template));
        Ok(sum.map(|sum| ProbedPhase {
            phase,
            runs: trials.len(),
            steps: trials.iter().map(|step| step.trial.steps.saturating_sub(step.from)).sum(),
            expense: sum.in_units_of(unit),
            condition: conditions().find(|one| *one == Condition::IfAsUsual).or_else(|| conditions().next()),
        }))
    }
}

/// The probe of a search, measured since `mark`.
fn probe(
    expected: &Expected,
    prices: &dyn Prices,
    (mark, measured_steps): (usage::Mark, usize),
    peak_memory: Option<f64>,
) -> Result<Probe, Error> {
    let (phases, grid, fine_tune) = expected.priced(prices)?;
    let all = phases.iter().map(|phase| phase.expense).reduce(Expense::plus).unwrap_or_default();
    Ok(Probe {
        policy: expected.policy.clone(),
        cautions: Vec::new(),
        measured_steps,
        measured: mark.until(usage::Mark::now()),
        load: usage::load(),
        total: all.in_units_of(fine_tune),
        phases,
        fine_tune,
        ranks: expected.fine_tune.trial.ranks.clone(),
        grid,
        peak_memory,
    })
}

/// Stops a probe on request, and keeps what the system refused.
struct Watch<'a, F> {
    interrupt: &'a Interrupt,
    error: Option<mars_calib::Error>,
    /// Sees every event.
    see: F,
}

impl<'a, F: FnMut(&Progress)> Watch<'a, F> {
    fn new(interrupt: &'a Interrupt, see: F) -> Self {
        Self { interrupt, error: None, see }
    }

    /// The records of runs that are to be trusted.
    fn checked(self, records: Vec<RunRecord>) -> Result<Vec<RunRecord>, Error> {
        if let Some(error) = self.error {
            return Err(error.into());
        }
        for record in &records {
            match &record.end {
                RunEnd::Interrupted => {
                    let what = "interrupted; a probe keeps nothing, and the same call begins it again";
                    return Err(Error::new(ErrorKind::Interrupted, what));
                }
                RunEnd::Failed { why } => {
                    return Err(Error::failed(format!(
                        "the probe of {} steps at {} failed: {why}",
                        record.spec.steps, record.spec.ranks
                    )));
                }
                _ => {}
            }
        }
        Ok(records)
    }
}

impl<F: FnMut(&Progress)> Observer for Watch<'_, F> {
    fn progress(&mut self, event: &Progress) -> Flow {
        (self.see)(event);
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
