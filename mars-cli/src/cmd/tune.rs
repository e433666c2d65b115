//! `mars tune`: one fine-tune at given ranks, which can be stopped and continued.

use crate::{
    args,
    cmd::{Context, place_flags, search, session::Session},
    failure::{Exit, Failure},
    workshop::Workshop,
};
use anyhow::{Context as _, Result};
use mars_search::PolicySpec;

pub(crate) fn run(context: &Context, args: &args::Tune) -> Result<Exit> {
    let ranks = ranks(&args.ranks)?;
    let policy: PolicySpec = format!("fixed:{}", args.ranks).parse().with_context(|| {
        Failure::usage(format!("--ranks {}: give a rank for each module, as in ve=8,llm=16", args.ranks))
    })?;
    let mut flags = place_flags(&args.place)?;
    flags.push(("search.policy", policy.to_string().into()));
    flags.extend(args.adapter_layout.as_ref().map(|layout| ("out.adapter_layout", layout.as_str().into())));
    flags.extend(args.seed.map(|seed| ("train.seed", i64::from(seed).into())));
    let mut config = context.config(&args.task, &flags)?;
    for (module, rank) in &ranks {
        // The ranks asked for are the only candidates, so that they are checked against the model at once.
        config.search.candidates.insert(module.clone(), vec![*rank]);
    }
    let workshop = Workshop::open(&mut config, context.console)?;
    search::full(&mut Session::open(context, &config, &workshop, &args.place)?, &policy)?;
    Ok(Exit::Done)
}

fn ranks(text: &str) -> Result<Vec<(String, usize)>> {
    let wrong = |why: String| {
        Failure::usage(format!("--ranks {text}: {why}; give a rank for each module, as in ve=8,llm=16"))
    };
    let mut all = Vec::new();
    for part in text.split(',') {
        let (module, rank) =
            part.split_once('=').ok_or_else(|| wrong(format!("`{part}` is not module=rank")))?;
        let rank: usize = rank.trim().parse().map_err(|_| wrong(format!("`{rank}` is not a rank")))?;
        if rank == 0 {
            return Err(wrong(format!("rank 0 adapts nothing; leave `{module}` out instead")).into());
        }
        all.push((module.trim().to_owned(), rank));
    }
    Ok(all)
}
