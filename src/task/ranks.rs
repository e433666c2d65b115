//! The largest ranks that a search may ask for, by the setting that has them.

use crate::{Error, config::SearchConfig};
use mars_lora::{AdapterConfig, Init, Model, SiteKind};
use mars_search::PolicySpec;
use std::collections::BTreeMap;

/// Largest rank by module.
pub(super) type Largest = BTreeMap<String, usize>;

/// The largest rank of each module that the policy may ask for, with the key of the setting that has it.
///
/// # Errors
/// An error of usage for fixed ranks of other modules.
pub(super) fn ranks_in_use(config: &SearchConfig) -> Result<Vec<(&'static str, Largest)>, Error> {
    let space = config.space(BTreeMap::new());
    let modules = &config.lora.modules;
    let default =
        || modules.iter().map(|module| (module.clone(), space.default_of(module))).collect::<Largest>();
    let all = |rank: usize| modules.iter().map(|module| (module.clone(), rank)).collect::<Largest>();
    let largest = |ranks: &[usize]| ranks.iter().copied().max().unwrap_or(0);
    let key = if config.search.candidates.is_empty() { "search.ranks" } else { "search.candidates" };
    Ok(match &config.search.policy {
        PolicySpec::Fixed(fixed) => {
            let ranks = fixed.resolve(&space)?;
            vec![(
                "search.policy",
                modules.iter().map(|module| (module.clone(), ranks.get(module))).collect(),
            )]
        }
        // The default ranks are candidates.
        PolicySpec::Method(_) => vec![(key, default())],
        _ => {
            let candidate = |module: &String| (module.clone(), largest(&space.ranks_of(module)));
            let mut used = vec![(key, modules.iter().map(candidate).collect())];
            if config.may_calibrate() {
                used.push(("calibration.ranks", all(largest(&config.calibration.ranks))));
            }
            used
        }
    })
}

/// Finds ranks that do not fit the model before anything is trained: those that the policy may ask for, under the name of the
/// setting that has them, and those of a module without layers, which would change nothing.
pub(super) fn check_ranks(config: &SearchConfig, model: &impl Model) -> Result<(), Error> {
    check_modules(&config.lora.modules, model)?;
    check_default(config, model)?;
    for (setting, ranks) in ranks_in_use(config)? {
        check_targets(config, &ranks, model)?;
        let largest = AdapterConfig { targets: config.lora.targets()?, ..AdapterConfig::new(ranks, 0) };
        largest
            .useful_ranks(model.modules(), model.sites())
            .map_err(|error| Error::usage(format!("{setting}: {error}")))?;
    }
    Ok(())
}

/// Refuses targets that choose no layer of a module with a rank, or an embedding together with what embeddings do not have.
fn check_targets(config: &SearchConfig, ranks: &Largest, model: &impl Model) -> Result<(), Error> {
    let targets = config.lora.targets()?;
    for module in ranks.iter().filter(|(_, rank)| **rank > 0).map(|(module, _)| module) {
        let mut layers = model.sites().iter().filter(|site| site.module == *module).peekable();
        if layers.peek().is_some() && !layers.any(|site| targets.contain(site)) {
            return Err(Error::usage(format!(
                "lora.targets is `{}`, which matches no layer of `{module}`, so that its rank would change nothing; change \
                 the pattern, which has to match whole paths, or leave `{module}` out of lora.modules",
                config.lora.targets.as_deref().unwrap_or_default()
            )));
        }
        let mut chosen = model.sites().iter().filter(|site| site.module == *module && targets.contain(site));
        let (dora, pissa) = (config.lora.dora, config.lora.init == Init::Pissa);
        if let Some(site) = chosen.find(|site| site.kind == SiteKind::Embedding)
            && (dora || pissa)
        {
            return Err(Error::usage(format!(
                "{} is not defined here for embeddings, and lora.targets matches `{}`; leave it out of the targets, or set {}",
                if dora { "lora.dora" } else { "lora.init = pissa" },
                site.path,
                if dora { "lora.dora to false" } else { "lora.init to another" }
            )));
        }
    }
    Ok(())
}

/// Refuses a default rank that was set and that no adapted layer can have: the candidates that are nearest to it, the highest, would be
/// taken for it without a word.
fn check_default(config: &SearchConfig, model: &impl Model) -> Result<(), Error> {
    let (policy, rank) = (&config.search.policy, config.search.default_rank);
    let unused = policy.is_within_grid() || matches!(policy, PolicySpec::Fixed(_));
    if unused || rank == SearchConfig::default().search.default_rank {
        return Ok(());
    }
    let targets = config.lora.targets()?;
    let adapted = model
        .sites()
        .iter()
        .filter(|site| config.lora.modules.contains(&site.module) && targets.contain(site));
    match adapted.map(|site| site.max_rank()).max() {
        Some(largest) if rank > largest => Err(Error::usage(format!(
            "search.default_rank is {rank}; no adapted layer of this model can have a rank above {largest}"
        ))),
        _ => Ok(()),
    }
}

/// Refuses modules that the model does not have, and those of it that have no layers, as the projector of Gemma 3.
fn check_modules(modules: &[String], model: &impl Model) -> Result<(), Error> {
    let known = |name: &str| model.modules().iter().any(|module| module.name == name);
    if let Some(name) = modules.iter().find(|name| !known(name)) {
        let names: Vec<&str> = model.modules().iter().map(|module| module.name.as_str()).collect();
        return Err(Error::usage(format!(
            "lora.modules contains `{name}`, but the model has no such module; available: {}",
            names.join(", ")
        )));
    }
    let layers = |name: &str| model.sites().iter().any(|site| site.module == name);
    let (with, without): (Vec<&String>, Vec<&String>) = modules.iter().partition(|name| layers(name));
    match without.first() {
        Some(name) => Err(Error::usage(format!(
            "lora.modules contains `{name}`, which has no linear layer in this model, so a rank would change nothing; set \
             it to {with:?}"
        ))),
        None => Ok(()),
    }
}
