//! `mars tune`: one fine-tune at given ranks, which can be stopped and continued.

use crate::{
    args,
    cmd::{Context, search, set, set_path},
    exit::Exit,
};
use mars::Error;
use std::collections::BTreeSet;

pub(crate) fn run(context: &Context, args: &args::Tune) -> Result<Exit, Error> {
    check_ranks(&args.ranks)?;
    let mut layers = context.layers(&args.task)?;
    set_path(&mut layers, "out.dir", &args.place.out)?;
    layers.option("search.policy", format!("fixed:{}", args.ranks), "--ranks")?;
    set(&mut layers, "out.adapter_layout", &args.adapter_layout)?;
    args.seed.iter().try_for_each(|seed| layers.option("train.seed", i64::from(*seed), "--seed"))?;
    context.keep(&layers);
    search::finish(context, &layers.config()?, &args.place, args.strict)
}

/// Refuses a text that is no list of ranks by module, each of them once.
fn check_ranks(text: &str) -> Result<(), Error> {
    let wrong = |why: String| {
        Error::usage(format!("--ranks {text}: {why}; give a rank for each module, as in ve=8,llm=16"))
    };
    let mut modules = BTreeSet::new();
    for part in text.split(',') {
        let (module, rank) =
            part.split_once('=').ok_or_else(|| wrong(format!("`{part}` is not module=rank")))?;
        let rank: usize = rank.trim().parse().map_err(|_| wrong(format!("`{rank}` is not a rank")))?;
        if rank == 0 {
            return Err(wrong(format!("rank 0 adapts nothing; leave `{module}` out instead")));
        }
        if !modules.insert(module.trim()) {
            return Err(wrong(format!("`{}` is named twice", module.trim())));
        }
    }
    Ok(())
}
