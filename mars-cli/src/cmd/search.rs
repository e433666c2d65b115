//! `mars search`, and bare `mars`: the main job from data to adapter and report.

use crate::{
    args::{self, Place, Task},
    cmd::{Context, place_flags, result, session::Session},
    failure::Exit,
    workshop::Workshop,
};
use anyhow::Result;
use mars_lora::Examples;
use mars_search::{DecisionOutcome, PolicySpec};

/// Without a command: says what will happen, then searches on the embedded example.
pub(crate) fn bare(context: &Context) -> Result<Exit> {
    let config = context.config(&Task::default(), &[])?;
    context.console.say(format!(
        "mars will now choose LoRA ranks for its embedded tiny vision-language model, on real handwritten digits:\n\
         the middle of the range and a rival race inside one fine-tune, and the winner's adapter stays.\n\
         Everything goes to {}/ and can be stopped (Ctrl-C) and continued. `mars --help` shows the rest.",
        config.out.dir.display()
    ));
    run(
        context,
        &args::Search {
            task: Task::default(),
            place: Place::default(),
            policy: None,
            seed: None,
            adapter_layout: None,
            strict: false,
        },
    )
}

pub(crate) fn run(context: &Context, args: &args::Search) -> Result<Exit> {
    let mut flags = place_flags(&args.place)?;
    flags.extend(args.policy.as_ref().map(|policy| ("search.policy", policy.as_str().into())));
    flags.extend(args.adapter_layout.as_ref().map(|layout| ("out.adapter_layout", layout.as_str().into())));
    flags.extend(args.seed.map(|seed| ("train.seed", i64::from(seed).into())));
    let mut config = context.config(&args.task, &flags)?;
    let workshop = Workshop::open(&mut config, context.console)?;
    let policy = config.search.policy.clone();
    let outcome = full(&mut Session::open(context, &config, &workshop, &args.place)?, &policy)?;
    Ok(if args.strict && outcome == DecisionOutcome::Fallback { Exit::FellBack } else { Exit::Done })
}

/// A whole search: decision, adapter, report, summary.
pub(crate) fn full(session: &mut Session<'_>, policy: &PolicySpec) -> Result<DecisionOutcome> {
    let budget = session.config.budget(session.workshop.train.len(), session.config.train.seed);
    let driven = session.search(policy, &budget)?;
    result::deliver(session, policy, &driven)?;
    Ok(driven.decision.outcome)
}
