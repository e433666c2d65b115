//! `mars plan`: what a search would do, need and cost, without training.

use crate::{
    args, cmd::Context, config::Config, console, failure::Exit, memory::Memory, output, quantity,
    workshop::Workshop,
};
use anyhow::Result;
use mars_laws::Ranks;
use mars_lora::{AdapterConfig, AdapterStack, Examples, Model};
use mars_search::{Cost, Policy, Role, Trial, TrialEnd, TrialResult};
use mars_vlm::{
    data::Lengths,
    model::{LANGUAGE_MODEL, VlmBatch},
};
use serde::Serialize;
use std::{collections::BTreeMap, time::Instant};

/// What `mars plan --json` prints.
#[derive(Debug, Serialize)]
struct Plan {
    modules: Vec<Module>,
    samples: usize,
    tokens: Option<Lengths>,
    image_tokens: Option<Lengths>,
    memory: Memory,
    policy: String,
    /// FLOPs of one fine-tune at the default ranks.
    fine_tune_flops: f64,
    total_flops: f64,
    fine_tunes: f64,
    seconds: f64,
    /// The runs; what depends on measurements is as it would be if times followed the usual laws.
    runs: Vec<Planned>,
}

#[derive(Debug, Serialize)]
struct Module {
    module: String,
    adapted: bool,
    layers: usize,
    parameters_per_rank: usize,
    largest_rank: usize,
    paths: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Planned {
    #[serde(flatten)]
    trial: Trial,
    flops: f64,
}

pub(crate) fn run(context: &Context, args: &args::Plan) -> Result<Exit> {
    let flags: Vec<_> = args.policy.iter().map(|policy| ("search.policy", policy.as_str().into())).collect();
    let mut config = context.config(&args.task, &flags)?;
    let workshop = Workshop::open(&mut config, context.console)?;
    let space = config.space(workshop.parameters_per_rank(&config)?);
    let budget = config.budget(workshop.train.len(), config.train.seed);
    let mut policy = config.policy(&config.search.policy).build(&space, &budget)?;
    let pricing = Pricing::measure(&config, &workshop)?;
    let runs = rehearse(&mut *policy, &pricing)?;
    let fine_tune_flops =
        pricing.flops(&space.default_ranks(), 0, budget.steps, 1 + budget.steps / budget.eval_every)?;
    let total_flops = runs.iter().map(|run| run.flops).sum::<f64>();
    let memory = Memory::estimate(&config, &workshop)?;
    let plan = Plan {
        modules: modules(&config, &workshop)?,
        samples: workshop.train.len(),
        tokens: Lengths::new((0..workshop.train.len()).map(|index| workshop.train.tokens(index)).collect()),
        image_tokens: workshop.image_tokens()?,
        memory,
        policy: policy.name(),
        fine_tune_flops,
        total_flops,
        fine_tunes: total_flops / fine_tune_flops,
        seconds: total_flops / pricing.rate,
        runs,
    };
    if context.common.json {
        output::json(&plan)?
    } else {
        output::text(describe(&plan))?
    }
    memory.check()?;
    Ok(Exit::Done)
}

fn modules(config: &Config, workshop: &Workshop) -> Result<Vec<Module>> {
    let targets = config.targets()?;
    let mut all = Vec::new();
    for component in workshop.model.components() {
        let own = || {
            let sites = workshop.model.sites().iter();
            sites.filter(|site| site.component == component.name && targets.contain(site))
        };
        all.push(Module {
            module: component.name.clone(),
            adapted: config.lora.modules.contains(&component.name),
            layers: own().count(),
            parameters_per_rank: own().map(|site| site.parameters_per_rank()).sum(),
            largest_rank: own().map(|site| site.max_rank()).min().unwrap_or(0),
            paths: own().map(|site| site.path.clone()).collect(),
        });
    }
    Ok(all)
}

/// What training costs on this machine.
struct Pricing<'a> {
    config: &'a Config,
    workshop: &'a Workshop,
    batch: VlmBatch,
    /// FLOPs per second, measured on forward passes.
    rate: f64,
}

impl<'a> Pricing<'a> {
    fn measure(config: &'a Config, workshop: &'a Workshop) -> Result<Self> {
        let (model, train) = (&workshop.model, &workshop.train);
        let rows: Vec<usize> = (0..config.train.batch).map(|index| index % train.len()).collect();
        let batch = train.batch(&[rows], &model.device())?;
        let base = AdapterStack::base(1, model);
        let once = || model.forward(&batch, &base, false).losses.into_data();
        once();
        let (started, mut passes) = (Instant::now(), 0);
        while passes == 0 || (started.elapsed().as_secs_f64() < 0.5 && passes < 100) {
            once();
            passes += 1;
        }
        let flops: f64 = model.flops(&batch, base.ranks()).iter().map(|pass| pass.forward).sum();
        let rate = f64::from(passes) * flops / started.elapsed().as_secs_f64();
        Ok(Self { config, workshop, batch, rate })
    }

    /// FLOPs of the steps `from..to` of a run with `evaluations`.
    fn flops(&self, ranks: &Ranks, from: usize, to: usize, evaluations: usize) -> Result<f64> {
        let model = &self.workshop.model;
        let adapter =
            AdapterConfig { targets: self.config.targets()?, ..AdapterConfig::new(ranks.iter(), 0) };
        let sites = adapter.site_ranks(model.components(), model.sites())?;
        let pass = model.flops(&self.batch, &[sites]).first().copied().unwrap_or_default();
        let validation = match self.config.run.validation_samples {
            0 => self.workshop.val.len(),
            some => some.min(self.workshop.val.len()),
        };
        let evaluation = pass.forward * validation as f64 / self.config.train.batch as f64;
        Ok((to - from) as f64 * (pass.forward + pass.backward) + evaluations as f64 * evaluation)
    }
}

/// Lets the policy play against results as the usual laws would give them, and notes what it asks for.
fn rehearse(policy: &mut dyn Policy, pricing: &Pricing<'_>) -> Result<Vec<Planned>> {
    let mut runs: Vec<Planned> = Vec::new();
    let mut reached: BTreeMap<u32, usize> = BTreeMap::new();
    loop {
        let trials = policy.ask();
        if trials.is_empty() {
            return Ok(runs);
        }
        let mut results = Vec::with_capacity(trials.len());
        for trial in trials {
            let eval_every = match trial.role {
                Role::Alone | Role::Joint => pricing.config.calibration.eval_every,
                Role::Race | Role::Final => pricing.config.train.eval_every,
            };
            let from = trial.continues.and_then(|id| reached.get(&id).copied()).unwrap_or(0);
            let seen = |step: &usize| *step == 0 || *step >= trial.evaluate_from;
            let steps = (from..=trial.steps).skip(usize::from(from > 0));
            let evaluations = steps.filter(|step| step.is_multiple_of(eval_every)).filter(seen).count();
            let flops = pricing.flops(&trial.ranks, from, trial.steps, evaluations)?;
            reached.insert(trial.id, trial.steps);
            results.push(usual(&trial));
            runs.push(Planned { trial, flops });
        }
        policy.tell(&results)?;
    }
}

/// A result as the laws with usual exponents give it.
fn usual(trial: &Trial) -> TrialResult {
    let time = |(module, rank): (&str, usize)| {
        let gamma = if module == LANGUAGE_MODEL { -0.33 } else { -0.4 };
        0.05 * trial.horizon as f64 * (rank as f64 / 8.0).powf(gamma) * (trial.samples as f64).powf(0.2)
    };
    let ranks: f64 = trial.ranks.iter().map(|(_, rank)| (rank as f64).powf(-0.1)).sum();
    let loss = 1.0 + ranks / (1.0 + trial.steps as f64);
    TrialResult {
        trial: trial.clone(),
        val_curve: vec![(0, 3.0), (trial.steps, loss)],
        blocks: Vec::new(),
        convergence: (trial.role == Role::Alone).then(|| trial.ranks.iter().map(time).sum()),
        censored: None,
        end: TrialEnd::Finished,
        cost: Cost::default(),
    }
}

fn describe(plan: &Plan) -> String {
    let header =
        ["module", "adapted", "layers", "parameters per rank", "largest rank"].map(String::from).to_vec();
    let rows = plan.modules.iter().map(|module| {
        vec![
            module.module.clone(),
            if module.adapted { "yes" } else { "no" }.to_owned(),
            module.layers.to_string(),
            module.parameters_per_rank.to_string(),
            module.largest_rank.to_string(),
        ]
    });
    let mut parts = vec![output::table(&std::iter::once(header).chain(rows).collect::<Vec<_>>())];
    let lengths = |name: &str, lengths: &Option<Lengths>| {
        lengths
            .as_ref()
            .map(|l| format!("{name}: {} to {}, median {}, mean {:.1}", l.min, l.max, l.median, l.mean))
    };
    let samples = std::iter::once(format!("{} training samples", plan.samples))
        .chain(lengths("tokens", &plan.tokens))
        .chain(lengths("of them image tokens", &plan.image_tokens));
    parts.push(samples.collect::<Vec<_>>().join("\n"));
    let memory = &plan.memory;
    parts.push(format!(
        "memory, estimated: {} (weights {}, program and data {}, adapters {}, activations {}){}",
        quantity::bytes(memory.total),
        quantity::bytes(memory.weights),
        quantity::bytes(memory.program),
        quantity::bytes(memory.adapters),
        quantity::bytes(memory.activations),
        memory.available.map_or_else(String::new, |bytes| format!("; available {}", quantity::bytes(bytes)))
    ));
    parts.push(format!(
        "policy {}: {} runs, {} = {:.2} fine-tunes of {}, about {} here",
        plan.policy,
        plan.runs.len(),
        quantity::flops(plan.total_flops),
        plan.fine_tunes,
        quantity::flops(plan.fine_tune_flops),
        console::duration(plan.seconds)
    ));
    let header = ["run", "for", "ranks", "samples", "seed", "up to step", "FLOPs"].map(String::from).to_vec();
    let rows = plan.runs.iter().map(|run| {
        let Trial { id, role, ranks, samples, seed, steps, .. } = &run.trial;
        vec![
            id.to_string(),
            role.to_string(),
            ranks.to_string(),
            samples.to_string(),
            seed.to_string(),
            steps.to_string(),
            quantity::flops(run.flops),
        ]
    });
    parts.push(output::table(&std::iter::once(header).chain(rows).collect::<Vec<_>>()));
    parts.join("\n\n")
}
