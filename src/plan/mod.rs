//! What a search would train, cost and hold in memory, without training.
mod condition;
mod lasting;
mod limits;
mod memory;
mod pricing;
mod probe;
mod range;
mod rehearsal;
mod restarts;

pub use condition::Condition;
pub use limits::Bound;
pub(crate) use limits::Left;
pub use memory::Memory;
pub(crate) use memory::{REMEDY, check_weights, left, resident};
pub(crate) use pricing::{evaluations, grid_price};
pub use probe::{Expense, Phase, Probe, ProbedPhase, Seconds};
pub(crate) use probe::{probe_command, probe_native};
use range::cost_range;
pub use range::{CostRange, PlannedCost};
pub use rehearsal::rehearse;
pub(crate) use rehearsal::rehearsed_steps;
use rehearsal::{RehearsedTrial, rehearse_priced};
pub(crate) use restarts::restarts;

use crate::{
    Error, Overfitting, Task,
    config::SearchConfig,
    device::{Backend, DeviceList},
};
use mars_kernels::Compute;
use mars_lora::{Examples, Model};
use mars_search::{PolicySpec, Trial, UnaffordableCalibration, run_cost};
use mars_vlm::{
    data::Lengths,
    model::{AnyModel, EncodedExamples},
};
use pricing::Pricing;
use serde::Serialize;
use std::collections::BTreeMap;

/// A search before it is started.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// The modules of the model.
    pub modules: Vec<PlannedModule>,
    /// Training samples.
    pub samples: usize,
    /// Tokens of a training sample.
    pub tokens: Option<Lengths>,
    /// Those among them that stand for images.
    pub image_tokens: Option<Lengths>,
    /// What the final run does.
    pub train: PlannedTraining,
    /// What of the settings is probably not meant, see [`SearchConfig::cautions`].
    pub cautions: Vec<String>,
    /// How long the final run is against the time from which on its data over-fit, at the highest candidate ranks; `None` where no campaign
    /// in the same directory knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overfitting: Option<Overfitting>,
    /// What `guided` cannot calibrate within its cap; `None` where it can, and for other policies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unaffordable: Option<UnaffordableCalibration>,
    /// Memory, estimated.
    pub memory: Option<Memory>,
    /// Name of the policy.
    pub policy: String,
    /// What the search costs by the ranks that win; `None` where one choice alone can. The figures below are for a winner as usual laws
    /// give it, whose losses are within the tolerance of each other: the one with the fewest adapter parameters, the cheapest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<CostRange>,
    /// FLOPs of one fine-tune: of the final run at the ranks of [`runs`](Self::runs), from step 0, with the evaluations
    /// that it has.
    pub fine_tune_flops: f64,
    /// FLOPs of all runs.
    pub total_flops: f64,
    /// Cost of all runs in units of one fine-tune.
    pub fine_tunes: f64,
    /// Time of all runs on this machine in seconds, from the speed of forward passes.
    pub seconds: f64,
    /// The runs; those that depend on measurements as they would be if convergence times followed usual laws.
    pub runs: Vec<PlannedRun>,
}

/// The final run with everything filled in that was left to mars.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PlannedTraining {
    /// Optimizer steps.
    pub steps: usize,
    /// Passes over the training set.
    pub epochs: f64,
    /// Samples in one optimizer step.
    pub batch: usize,
    /// Optimizer steps between evaluations.
    pub eval_every: usize,
    /// Validation samples in each.
    pub validation_samples: usize,
    /// Peak learning rate of each module.
    pub learning_rates: BTreeMap<String, f64>,
    /// Arithmetic of products with the frozen weights; `None` on other devices than the CPU.
    pub compute: Option<Compute>,
}

/// One module of the model.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PlannedModule {
    /// Its name.
    pub module: String,
    /// Whether it has a rank of its own.
    pub adapted: bool,
    /// Layers that the targets select.
    pub layers: usize,
    /// Adapter parameters per unit of rank.
    pub parameters_per_rank: usize,
    /// The largest rank that all of these layers can have.
    pub largest_rank: usize,
    /// Paths of these layers.
    pub paths: Vec<String>,
}

/// One run.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct PlannedRun {
    /// What is trained.
    #[serde(flatten)]
    pub trial: Trial,
    /// FLOPs of its own steps and evaluations.
    pub flops: f64,
    /// On what it depends that only the search can measure; `None` where it is certain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
}

pub(crate) fn plan(config: &SearchConfig, task: &Task<AnyModel, EncodedExamples>) -> Result<Plan, Error> {
    config.check()?;
    config.check_native()?;
    // Before the passes that are measured take the memory, and leave freed memory behind.
    let (config, memory) = task.settled(config)?;
    let space = config.space(task.parameters_per_rank(&config)?);
    let budget = config.budget(task.train.len(), config.train.seed);
    let policy = config.policy();
    let pricing = Pricing::measure(&config, task)?;
    let on_cpu = DeviceList::parse(&config.run.device)?.backend() == Backend::Cpu;
    let price = |trial: &Trial, from: usize| pricing.prices.cost(trial, from);
    let foreseen = rehearse_priced(&policy, (&space, &budget), true, &price)?;
    let range = cost_range(&foreseen, (&space, &budget), &price, pricing.rate)?;
    let flops: BTreeMap<u32, f64> =
        foreseen.results.iter().map(|result| (result.trial.id, result.cost.total_flops())).collect();
    let template = config.run_template();
    let planned = |step: RehearsedTrial| PlannedRun {
        flops: flops.get(&step.trial.id).copied().unwrap_or(0.0),
        condition: Condition::of(&step, &template),
        trial: step.trial,
    };
    let runs: Vec<PlannedRun> = foreseen.trials.into_iter().map(planned).collect();
    // The unit of the search itself.
    let fine_tune_flops = run_cost(&foreseen.results, foreseen.decision.trial).total_flops();
    let total_flops = runs.iter().map(|run| run.flops).sum::<f64>();
    Ok(Plan {
        modules: modules(&config, &task.model)?,
        samples: budget.samples,
        tokens: Lengths::new((0..task.train.len()).map(|index| task.train.tokens(index)).collect()),
        image_tokens: task.image_tokens()?,
        train: PlannedTraining {
            steps: budget.steps,
            epochs: budget.steps as f64 * budget.batch as f64 / budget.samples as f64,
            batch: budget.batch,
            eval_every: budget.eval_every,
            validation_samples: budget.validation_samples,
            learning_rates: config.learning_rates(),
            compute: if on_cpu { config.run.compute } else { None },
        },
        cautions: config.cautions(task.train.len()),
        overfitting: lasting::lasting(&config, &task.fingerprints, &space, &budget),
        unaffordable: match &policy {
            PolicySpec::Guided(options) => options.unaffordable_calibration(&space, &budget),
            _ => None,
        },
        memory,
        policy: policy.to_string(),
        range,
        fine_tune_flops,
        total_flops,
        fine_tunes: total_flops / fine_tune_flops,
        seconds: total_flops / pricing.rate,
        runs,
    })
}

fn modules(config: &SearchConfig, model: &AnyModel) -> Result<Vec<PlannedModule>, Error> {
    let targets = config.lora.targets()?;
    let mut all = Vec::new();
    for module in model.modules() {
        let own = || {
            let sites = model.sites().iter();
            sites.filter(|site| site.module == module.name && targets.contain(site))
        };
        all.push(PlannedModule {
            module: module.name.clone(),
            adapted: config.lora.modules.contains(&module.name),
            layers: own().count(),
            parameters_per_rank: own().map(|site| site.parameters_per_rank()).sum(),
            largest_rank: own().map(|site| site.max_rank()).min().unwrap_or(0),
            paths: own().map(|site| site.path.clone()).collect(),
        });
    }
    Ok(all)
}
