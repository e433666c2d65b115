//! `mars plan`: what a search would do, need and cost, without training or from a few steps.

use crate::{
    args,
    cmd::{Context, probe, search::samples, set, set_path},
    exit::Exit,
    output,
};
use mars::{
    Error, Plan, Search,
    config::TrainerKind,
    mars_search::Trial,
    mars_vlm::data::Lengths,
    plan::{Condition, Memory, PlannedRun, PlannedTraining, Probe},
    quantity::{bytes, duration, flops},
};
use serde::Serialize;

/// What the conditions of numbers mean, in the order in which they are told.
const LEGEND: [(Condition, &str); 2] = [
    (
        Condition::AtMost,
        "at most: upper bound; runs stop early once they have certainly converged or over-fitted",
    ),
    (Condition::IfAsUsual, "expected: which candidates are trained, and how far, depends on earlier results"),
];

pub(crate) fn run(context: &Context, args: &args::Plan) -> Result<Exit, Error> {
    let mut layers = context.layers(&args.task)?;
    set_path(&mut layers, "out.dir", &args.out)?;
    set(&mut layers, "search.policy", &args.policy)?;
    context.keep(&layers);
    let config = layers.config()?;
    if args.probe && config.trainer.kind == TrainerKind::Command {
        let samples = samples(&config)?;
        let search = Search::new(config).interrupt(context.signals.interrupt());
        let probe = search.probe_command(samples)?;
        probe.cautions.iter().for_each(|caution| context.console.warn(caution));
        return print(context, None, Some(probe));
    }
    let task = context.open(&config)?;
    let search = Search::new(config).interrupt(context.signals.interrupt());
    let plan = search.plan(&task)?;
    plan.cautions.iter().for_each(|caution| context.console.warn(caution));
    let probe = if args.probe { Some(search.probe(&task)?) } else { None };
    print(context, Some(plan), probe)
}

/// A plan with what a probe adds to it.
#[derive(Serialize)]
struct Planned {
    #[serde(flatten)]
    plan: Option<Plan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<Probe>,
}

fn print(context: &Context, plan: Option<Plan>, probe: Option<Probe>) -> Result<Exit, Error> {
    if context.common.json {
        output::json(&Planned { plan, probe })?;
    } else {
        let parts = plan.as_ref().map(describe).into_iter().chain(probe.as_ref().map(probe::describe));
        let parts = parts.chain(legend(plan.as_ref(), probe.as_ref()));
        output::text(parts.collect::<Vec<_>>().join("\n\n"))?;
    }
    Ok(Exit::Done)
}

/// What the conditions of both mean, each once; `None` where there are none.
fn legend(plan: Option<&Plan>, probe: Option<&Probe>) -> Option<String> {
    let runs = plan.into_iter().flat_map(|plan| &plan.runs).filter_map(|run| run.condition);
    let phases = probe.into_iter().flat_map(|probe| probe.phases.iter().chain(&probe.grid));
    let all: Vec<Condition> = runs.chain(phases.filter_map(|phase| phase.condition)).collect();
    let told = LEGEND.into_iter().filter(|(condition, _)| all.contains(condition));
    let told: Vec<&str> = told.map(|(_, meaning)| meaning).collect();
    (!told.is_empty()).then(|| told.join("\n"))
}

fn describe(plan: &Plan) -> String {
    let rows = plan.modules.iter().map(|module| {
        vec![
            module.module.clone(),
            if module.adapted { "yes" } else { "no" }.to_owned(),
            module.layers.to_string(),
            module.parameters_per_rank.to_string(),
            module.largest_rank.to_string(),
        ]
    });
    let header = ["module", "adapted", "layers", "parameters per rank", "largest rank"];
    let mut parts = vec![output::table(&header, rows)];
    let lengths = |name: &str, lengths: &Option<Lengths>| {
        lengths
            .as_ref()
            .map(|l| format!("{name}: {} to {}, median {}, mean {:.1}", l.min, l.max, l.median, l.mean))
    };
    let samples = std::iter::once(format!("{} training samples", plan.samples))
        .chain(lengths("tokens", &plan.tokens))
        .chain(lengths("image tokens among them", &plan.image_tokens));
    parts.push(samples.collect::<Vec<_>>().join("\n"));
    parts.push(final_run(&plan.train));
    parts.extend(plan.overfitting.iter().map(ToString::to_string));
    parts.extend(plan.memory.iter().map(memory));
    let runs = if plan.runs.len() == 1 { "1 run".to_owned() } else { format!("{} runs", plan.runs.len()) };
    parts.push(format!("policy {}: {runs}, {}", plan.policy, costs(plan)));
    parts.extend(plan.unaffordable.iter().map(ToString::to_string));
    parts.push(runs_table(&plan.runs));
    parts.join("\n\n")
}

fn final_run(train: &PlannedTraining) -> String {
    let rates: Vec<String> =
        train.learning_rates.iter().map(|(module, rate)| format!("{module} {rate}")).collect();
    let products = train
        .compute
        .map_or_else(String::new, |compute| format!("; products with frozen weights in {compute}"));
    format!(
        "final run: {} steps of {} samples = {:.2} epochs; learning rates {}; evaluated every {} steps on {} samples{products}",
        train.steps,
        train.batch,
        train.epochs,
        rates.join(", "),
        train.eval_every,
        train.validation_samples,
    )
}

fn memory(memory: &Memory) -> String {
    let left = memory.available.zip(memory.bound);
    let available =
        left.map_or_else(String::new, |(all, bound)| format!("; {} available {bound}", bytes(all)));
    format!(
        "memory, estimated: {} (weights {}, program and data {}, adapters {} in stacks of at most {}, kept features of images {}, activations {}){available}",
        bytes(memory.total),
        bytes(memory.weights),
        bytes(memory.program),
        bytes(memory.adapters),
        memory.stack,
        bytes(memory.features),
        bytes(memory.activations),
    )
}

/// What the search costs, by the ranks that win where that makes a difference.
fn costs(plan: &Plan) -> String {
    let cost = |total: f64, fine_tunes: f64, unit: f64, seconds: f64| {
        let (total, unit) = (flops(total), flops(unit));
        format!("{total} = {fine_tunes:.2} fine-tunes of {unit}, about {} here", duration(seconds))
    };
    match &plan.range {
        None => cost(plan.total_flops, plan.fine_tunes, plan.fine_tune_flops, plan.seconds),
        Some(range) => [&range.cheapest, &range.most_expensive]
            .map(|one| {
                let told = cost(one.total_flops, one.fine_tunes, one.fine_tune_flops, one.seconds);
                format!("if {} win, {told}", one.ranks)
            })
            .join("; "),
    }
}

fn runs_table(runs: &[PlannedRun]) -> String {
    let rows = runs.iter().map(|run| {
        let Trial { id, role, ranks, samples, seed, steps, .. } = &run.trial;
        vec![
            id.to_string(),
            role.to_string(),
            ranks.to_string(),
            samples.to_string(),
            seed.to_string(),
            steps.to_string(),
            flops(run.flops),
            match run.condition {
                None => "certain",
                Some(Condition::AtMost) => "at most",
                Some(_) => "expected",
            }
            .to_owned(),
        ]
    });
    let header = ["run", "for", "ranks", "samples", "seed", "up to step", "FLOPs", "certainty"];
    output::table(&header, rows)
}
