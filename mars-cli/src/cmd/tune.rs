//! `mars tune`: one fine-tune at given ranks, which can be stopped and continued.

use crate::{
    args,
    cmd::{Context, search, set, set_path, set_seed},
    exit::Exit,
};
use mars::{Error, config::Layers, mars_lora::merge::inspect, mars_vlm::checkpoint::names_of_dir};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

pub(crate) fn run(context: &Context, args: &args::Tune) -> Result<Exit, Error> {
    args.ranks.iter().try_for_each(|ranks| check_ranks(ranks))?;
    let mut layers = context.layers(&args.task)?;
    set_path(&mut layers, "out.dir", &args.place.out)?;
    set_path(&mut layers, "model.adapter", &args.adapter)?;
    let own = args.adapter.as_ref().map(|adapter| ranks_of(context, &layers, adapter)).transpose()?;
    if let Some(own) = &own {
        let modules: BTreeSet<String> =
            layers.reading()?.lora.modules.into_iter().chain(own.keys().cloned()).collect();
        layers.option("lora.modules", modules.into_iter().collect::<Vec<_>>(), "--adapter")?;
    }
    let ranks = match (&args.ranks, own) {
        (Some(ranks), _) => ranks.clone(),
        (None, own) => {
            let own = own.unwrap_or_default();
            own.iter().map(|(module, rank)| format!("{module}={rank}")).collect::<Vec<_>>().join(",")
        }
    };
    let origin = if args.ranks.is_some() { "--ranks" } else { "--adapter" };
    layers.option("search.policy", format!("fixed:{ranks}"), origin)?;
    set(&mut layers, "out.adapter_layout", &args.adapter_layout)?;
    set_seed(&mut layers, args.seed)?;
    context.keep(&layers);
    search::finish(context, &layers.config()?, &args.place, args.strict)
}

/// The commonest rank of each module of an adapter, without what its layout filled up.
fn ranks_of(context: &Context, layers: &Layers, adapter: &Path) -> Result<BTreeMap<String, usize>, Error> {
    // The policy follows from these ranks: only then can all settings be checked.
    let model = context.files(&layers.reading()?)?.model;
    let mut counts: BTreeMap<String, BTreeMap<usize, usize>> = BTreeMap::new();
    for layer in inspect(adapter, &model, &names_of_dir(&model)?)?.modules {
        *counts.entry(layer.module).or_default().entry(layer.used_rank).or_insert(0) += 1;
    }
    let commonest =
        |of: &BTreeMap<usize, usize>| of.iter().max_by_key(|(_, count)| **count).map(|(rank, _)| *rank);
    Ok(counts.iter().filter_map(|(module, of)| Some((module.clone(), commonest(of)?))).collect())
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
