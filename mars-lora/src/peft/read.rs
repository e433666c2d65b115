//! Reads an adapter directory, all of it or an error that lists the names.

use super::{AdapterFiles, Base, Bound};
use crate::{Adapter, AdapterConfig, Error, Factors, ScaleConvention, SiteKind, Targets};
use std::collections::BTreeMap;
use std::path::Path;

/// The adapter in `dir` for the model that `base` names.
///
/// Ranks and scales that differ within a module become those of single layers. Ranks are those of the components that are
/// not zero ([`Factors::without_zeros`]), whatever [`PeftLayout::Uniform`](super::PeftLayout::Uniform) filled them up with;
/// scales stay what they are.
///
/// # Errors
/// [`Error::Io`] and [`Error::BadFile`] for unreadable files; [`Error::Partial`] with the names when a tensor is
/// missing, left over or of another shape.
pub fn read(dir: &Path, base: &Base<'_>) -> Result<Adapter, Error> {
    let files = AdapterFiles::open(dir)?;
    let mut bound = files.bind(base)?;
    refuse_more(&files, base)?;
    let factors = bound
        .iter()
        .map(|bound| Ok(files.factors(bound, &base.sites[bound.site])?.without_zeros()))
        .collect::<Result<Vec<Factors>, Error>>()?;
    for (bound, factors) in bound.iter_mut().zip(&factors) {
        bound.rank = factors.rank;
    }
    let config = adapter_config(&files, base, &bound)?;
    Ok(Adapter { config, factors, offset: Vec::new() })
}

/// Refuses an adapter that holds more than factors, unless it is a copy of what the base has.
fn refuse_more(files: &AdapterFiles, base: &Base<'_>) -> Result<(), Error> {
    let mut more = Vec::new();
    for whole in &files.whole {
        let equal = match base.weights {
            Some(weights) => whole.is_copy(&files.weights, weights, base.namings)?,
            None => false,
        };
        if !equal {
            more.push(format!("{}.{}", whole.module, whole.leaf));
        }
    }
    if files.config.lora_bias {
        more.push("biases of B (lora_bias)".to_string());
    }
    if more.is_empty() {
        return Ok(());
    }
    const SHOWN: usize = 6;
    let rest = more.len().saturating_sub(SHOWN);
    let rest = if rest > 0 { format!(" and {rest} more") } else { String::new() };
    let why = format!(
        "beside its factors the adapter changes {}{rest}, for which there is a place only in the weights of the base: merge \
         the adapter into its base and use the result as the model. If these are copies that were not trained, save the \
         adapter again with save_embedding_layers=False",
        more[..more.len().min(SHOWN)].join(", ")
    );
    Err(Error::BadFile { path: files.path.clone(), why })
}

/// The configuration that gives every layer its rank and its scale.
fn adapter_config(files: &AdapterFiles, base: &Base<'_>, bound: &[Bound]) -> Result<AdapterConfig, Error> {
    let mut ranks = vec![0; base.sites.len()];
    for one in bound {
        ranks[one.site] = one.rank;
    }
    let of_module = module_ranks(base, &ranks);
    let whole = base.sites.iter().zip(&ranks).all(|(site, rank)| {
        site.kind != SiteKind::Linear || *rank > 0 || !of_module.contains_key(&site.module)
    });
    let targets = if whole {
        Targets::all_linear()
    } else {
        let adapted = base.sites.iter().zip(&ranks).filter(|(_, rank)| **rank > 0);
        let paths: Vec<String> = adapted.map(|(site, _)| regex::escape(&site.path)).collect();
        Targets::matching(&paths.join("|"))?
    };
    let scale = convention(files, bound);
    let mut config = AdapterConfig {
        scale,
        targets,
        dropout: files.config.lora_dropout,
        dora: files.config.use_dora,
        ..AdapterConfig::new(of_module, 0)
    };
    for (site, rank) in base.sites.iter().zip(&ranks) {
        let general = if config.targets.contain(site) { config.ranks.get(&site.module) } else { None };
        if general.copied().unwrap_or(0) != *rank {
            config.layer_ranks.insert(site.path.clone(), *rank);
        }
    }
    for one in bound.iter().filter(|one| !same(scale.scale(one.rank), one.scale)) {
        config.layer_scales.insert(base.sites[one.site].path.clone(), one.scale);
    }
    debug_assert_eq!(config.site_ranks(base.modules, base.sites).ok(), Some(ranks));
    Ok(config)
}

/// The commonest rank of each module.
fn module_ranks(base: &Base<'_>, ranks: &[usize]) -> BTreeMap<String, usize> {
    let mut counts: BTreeMap<&str, BTreeMap<usize, usize>> = BTreeMap::new();
    for (site, rank) in base.sites.iter().zip(ranks).filter(|(_, rank)| **rank > 0) {
        *counts.entry(&site.module).or_default().entry(*rank).or_insert(0) += 1;
    }
    let commonest =
        |of: &BTreeMap<usize, usize>| of.iter().max_by_key(|(_, count)| **count).map(|(rank, _)| *rank);
    counts.iter().filter_map(|(name, of)| Some(((*name).to_string(), commonest(of)?))).collect()
}

/// The convention with the fewest exceptions: that of the configuration's alpha, or a constant scale.
fn convention(files: &AdapterFiles, bound: &[Bound]) -> ScaleConvention {
    let alpha = files.config.lora_alpha;
    let configured = if files.config.use_rslora {
        ScaleConvention::AlphaOverSqrtRank { alpha }
    } else {
        ScaleConvention::AlphaOverRank { alpha }
    };
    let constants = bound.iter().map(|one| ScaleConvention::Constant { scale: one.scale });
    let exceptions =
        |c: &ScaleConvention| bound.iter().filter(|one| !same(c.scale(one.rank), one.scale)).count();
    let mut best = (configured, exceptions(&configured));
    for candidate in constants {
        if best.1 == 0 {
            break;
        }
        let count = exceptions(&candidate);
        if count < best.1 {
            best = (candidate, count);
        }
    }
    best.0
}

fn same(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * other.abs()
}
