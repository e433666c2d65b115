//! The adapter that training goes on from.

use crate::{
    Error,
    config::{ScaleConfig, SearchConfig},
};
use mars_laws::Ranks;
use mars_lora::{Adapter, Init, Site, peft, peft::Base};
use mars_search::PolicySpec;
use mars_vlm::checkpoint;
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// Reads the adapter in `directory` for the model that `base` names; with its digest, on which results depend.
///
/// # Errors
/// When it does not fit the model, or the settings contradict it.
pub(super) fn open(
    config: &SearchConfig,
    directory: &Path,
    base: &Base<'_>,
) -> Result<(Arc<Adapter>, String), Error> {
    let adapter = peft::read(directory, base)?;
    check(config, directory, &adapter, base.sites)?;
    Ok((Arc::new(adapter), checkpoint::fingerprint(directory)?))
}

/// Refuses settings that contradict the adapter in `directory` from which training goes on; `sites` are those of the model.
pub(super) fn check(
    config: &SearchConfig,
    directory: &Path,
    adapter: &Adapter,
    sites: &[Site],
) -> Result<(), Error> {
    let place = directory.display();
    if config.lora.init != Init::default() {
        return Err(Error::usage(format!(
            "lora.init is for newly initialised adapters, but training continues from {place}; leave it at its default"
        )));
    }
    if config.lora.dora != adapter.config.dora {
        let dora = adapter.config.dora;
        return Err(Error::usage(format!("lora.dora is {}, but the adapter in {place} says {dora}", !dora)));
    }
    check_scale(config, directory, adapter)?;
    check_targets(config, directory, adapter, sites)?;
    let own: Ranks = adapter.config.ranks.iter().map(|(module, rank)| (module.as_str(), *rank)).collect();
    let spelled: Vec<String> = own.iter().map(|(module, rank)| format!("{module}={rank}")).collect();
    let spelled = spelled.join(",");
    let PolicySpec::Fixed(fixed) = &config.search.policy else {
        return Err(Error::usage(format!(
            "model.adapter is {place}, which determines the ranks: there is nothing to search; set search.policy to \
             fixed:{spelled}"
        )));
    };
    let missing = own.modules().find(|module| !config.lora.modules.iter().any(|known| known == module));
    if let Some(missing) = missing {
        return Err(Error::usage(format!(
            "the adapter in {place} adapts `{missing}`, which is not in lora.modules; add it there"
        )));
    }
    let asked = fixed.resolve(&config.space(BTreeMap::new()))?;
    if asked != own {
        let asked: Vec<String> = asked.iter().map(|(module, rank)| format!("{module}={rank}")).collect();
        return Err(Error::usage(format!(
            "the ranks are {}, but the adapter in {place} from which training continues has {spelled}; use its ranks, \
             or start without it",
            asked.join(",")
        )));
    }
    Ok(())
}

/// Relative difference of scales that are the same: files hold alpha, which is their product with the rank.
const TOLERANCE: f64 = 1e-6;

/// Refuses a scale that was set, and is not that of the adapter, which alone counts.
fn check_scale(config: &SearchConfig, directory: &Path, adapter: &Adapter) -> Result<(), Error> {
    let (asked, own) = (config.lora.scale.convention(), adapter.config.scale);
    let same = adapter.factors.iter().all(|layer| {
        let scale = adapter.config.site_scale(&layer.path, layer.rank);
        (asked.scale(layer.rank) - scale).abs() <= TOLERANCE * scale
    });
    // What is known of the adapter stands in the settings of a campaign.
    let set = config.lora.scale != ScaleConfig::default() && config.lora.scale != ScaleConfig::of(own);
    if !set || same {
        return Ok(());
    }
    Err(Error::usage(format!(
        "lora.scale is {asked}, but the adapter in {} from which training continues has {own}{}; leave it at its default",
        directory.display(),
        if adapter.config.layer_scales.is_empty() { "" } else { " and scales of single layers" }
    )))
}

/// Refuses targets that were set, and choose other layers of its modules than the adapter has, which alone count.
fn check_targets(
    config: &SearchConfig,
    directory: &Path,
    adapter: &Adapter,
    sites: &[Site],
) -> Result<(), Error> {
    let Some(pattern) = &config.lora.targets else { return Ok(()) };
    let targets = config.lora.targets()?;
    let has = |site: &Site| adapter.factors.iter().any(|layer| layer.path == site.path);
    let mut own =
        sites.iter().filter(|site| adapter.config.ranks.get(&site.module).is_some_and(|rank| *rank > 0));
    let Some(other) = own.find(|site| targets.contain(site) != has(site)) else { return Ok(()) };
    let (does, adapts) =
        if has(other) { ("does not match", "adapts") } else { ("matches", "does not adapt") };
    Err(Error::usage(format!(
        "lora.targets is `{pattern}`, which {does} `{}`, but the adapter in {} from which training continues {adapts} it; leave it \
         at its default",
        other.path,
        directory.display()
    )))
}
