//! `mars search`, and bare `mars`: the main job from data to adapter and report.

use crate::{
    args::{self, Place},
    cmd::{Context, introduction::introduction, job_layers, set},
    exit::Exit,
    output,
};
use mars::{
    Error, SearchConfig, SearchOutcome, Task,
    config::TrainerKind,
    mars_laws::{Form, Interval},
    mars_lora::Examples,
    mars_search::{Decision, DecisionOutcome},
    quantity::{duration, flops, number},
    task::training_samples,
};
use std::time::Instant;

/// Without a command: a search, which on the embedded task says first what will happen.
pub(crate) fn bare(context: &Context, args: &args::Search) -> Result<Exit, Error> {
    let config = config(context, args)?;
    let embedded = config.model.dir.is_none() && config.data.train.is_none();
    carry_out(context, &config, (&args.job.place, args.strict), |task| {
        if embedded {
            let (train, val, _) = task.examples();
            for line in introduction(&config, train.len(), val.len()) {
                context.console.say(line);
            }
        }
    })
}

pub(crate) fn run(context: &Context, args: &args::Search) -> Result<Exit, Error> {
    finish(context, &config(context, args)?, &args.job.place, args.strict)
}

fn config(context: &Context, args: &args::Search) -> Result<SearchConfig, Error> {
    let mut layers = job_layers(context, &args.job)?;
    set(&mut layers, "out.adapter_layout", &args.adapter_layout)?;
    context.keep(&layers);
    layers.config()
}

/// A whole search and its summary.
pub(crate) fn finish(
    context: &Context,
    config: &SearchConfig,
    place: &Place,
    strict: bool,
) -> Result<Exit, Error> {
    carry_out(context, config, (place, strict), |_| {})
}

/// The same; `introduce` says what will happen, once the task of a search by the native trainer is open.
fn carry_out(
    context: &Context,
    config: &SearchConfig,
    (place, strict): (&Place, bool),
    introduce: impl FnOnce(&Task),
) -> Result<Exit, Error> {
    let mut reporter = context.reporter();
    let started = Instant::now();
    let outcome = match config.trainer.kind {
        TrainerKind::Native => {
            let task = context.open(config)?;
            introduce(&task);
            context.search(config, place, &mut reporter).run(&task, &config.out.dir)?
        }
        TrainerKind::Command => {
            let samples = samples(config)?;
            context.search(config, place, &mut reporter).run_command(samples, &config.out.dir)?
        }
    };
    if context.common.json {
        output::json(&outcome.summary())?;
    } else {
        output::text(describe(&outcome, started.elapsed().as_secs_f64()))?;
    }
    if !outcome.is_improvement() {
        context.console.warn("the adapter is no improvement over the model before training");
    }
    Ok(match outcome.decision.outcome {
        DecisionOutcome::Fallback | DecisionOutcome::Unimproved if strict => Exit::NoAnswer,
        _ => Exit::Done,
    })
}

/// Training samples of an external command: as set, or counted.
pub(super) fn samples(config: &SearchConfig) -> Result<usize, Error> {
    match (config.trainer.samples, &config.data.train) {
        (Some(samples), _) => Ok(samples),
        (None, Some(data)) => training_samples(config, data),
        (None, None) => Err(Error::usage(
            "an external trainer needs the number of training samples; set trainer.samples or --data",
        )),
    }
}

/// Law-C of each module, and Law-P, a line each.
fn laws(decision: &Decision) -> Vec<String> {
    let Some(laws) = &decision.laws else { return Vec::new() };
    let bracket = |interval: Option<&Interval>| match interval {
        Some(interval) if interval.lo.is_finite() && interval.hi.is_finite() => {
            format!(" [{:.3}, {:.3}]", interval.lo, interval.hi)
        }
        _ => String::new(),
    };
    let mut lines: Vec<String> = laws
        .law_c
        .iter()
        .map(|(module, law)| {
            let summary = &law.summary;
            let gamma = bracket(summary.interval.get("gamma"));
            let measured = law.points.iter().filter(|point| point.steps.is_some()).count();
            let r2 = if law.is_overdetermined() {
                format!("log R^2 {:.3}", summary.r2_log)
            } else {
                "two ranks, so no R^2".to_owned()
            };
            format!(
                "law-c     {module}: steps to converge scale as rank^{:.3}{gamma}; {r2}, {measured} runs",
                summary.law.gamma
            )
        })
        .collect();
    lines.extend(laws.unfitted.iter().map(|(module, why)| format!("law-c     {module}: none, {why}")));
    lines.extend(laws.law_p.iter().map(|law| {
        let exponents =
            law.parameters.iter().filter(|(name, _)| name.starts_with("alpha") || *name == "beta");
        let each: Vec<String> = exponents
            .map(|(name, value)| format!("{name} {value:.3}{}", bracket(law.interval.get(name))))
            .collect();
        let form = match law.law.form {
            Form::Tied => {
                "tied (the ranks that raced rise together; alpha is that of their product)".to_owned()
            }
            form => form.to_string(),
        };
        let loss = laws.law_p_loss.map_or_else(String::new, |loss| format!("; fitted to {loss}"));
        format!("law-p     form {form}: {}{loss}", each.join(", "))
    }));
    lines.extend(laws.unfitted_law_p.iter().map(|why| format!("law-p     none, {why}")));
    lines
}

fn describe(outcome: &SearchOutcome, seconds: f64) -> String {
    let SearchOutcome { decision, cost, adapter, run, report, test, base, overfitting, left_out, .. } =
        outcome;
    let mut lines = Vec::new();
    if !outcome.is_improvement() {
        lines.push("WARNING   this adapter is no improvement over the model before training".to_owned());
    }
    lines.extend(outcome.past_best.iter().map(|past| format!("WARNING   {past}")));
    lines.extend([
        format!("ranks     {} ({})", decision.ranks, decision.outcome),
        format!("why       {}", decision.reason),
    ]);
    lines.extend(laws(decision));
    match decision.gain {
        Some(gain) if gain.is_improvement() => lines.push(format!("gain      {gain}")),
        Some(_) => {}
        None => lines.push("gain      unknown: the model was not evaluated before the first step".to_owned()),
    }
    lines.extend(overfitting.iter().map(|overfitting| format!("over-fit  {overfitting}")));
    if let (Some(test), Some(base)) = (test, base) {
        lines.push(format!(
            "test      perplexity {:.4} (base model {:.4}), accuracy {:.1} % (base model {:.1} %)",
            test.perplexity,
            base.perplexity,
            100.0 * test.accuracy,
            100.0 * base.accuracy
        ));
    }
    lines.extend(outcome.exchanged_images.map(|exchanged| format!("images    {exchanged}")));
    let measured = if cost.flops > 0.0 { flops(cost.flops) } else { "by time".to_owned() };
    lines.push(format!(
        "cost      {} fine-tunes, {measured}, {} of training summed over all runs (which may run in parallel); this call took {}",
        number(cost.fine_tunes),
        duration(cost.wall_s),
        duration(seconds)
    ));
    lines.extend(left_out.iter().map(|one| format!("left out  {}: {one}", one.part)));
    lines.extend(match (adapter, run) {
        (Some(adapter), _) => Some(format!("adapter   {}", adapter.display())),
        (None, Some(run)) => Some(format!(
            "run       {}; the trainer left no adapter there (no adapter_config.json)",
            run.display()
        )),
        (None, None) => None,
    });
    lines.push(format!("report    {}", report.display()));
    lines.join("\n")
}
