//! The adapter that training goes on from.

use crate::{Error, config::SearchConfig};
use mars_laws::Ranks;
use mars_lora::{Adapter, Init, peft, peft::Base};
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
    check(config, directory, &adapter)?;
    Ok((Arc::new(adapter), checkpoint::fingerprint(directory)?))
}

/// Refuses settings that contradict the adapter in `directory` from which training goes on.
pub(super) fn check(config: &SearchConfig, directory: &Path, adapter: &Adapter) -> Result<(), Error> {
    let place = directory.display();
    if config.lora.init != Init::default() {
        return Err(Error::usage(format!(
            "lora.init is for adapters that begin fresh, but training goes on from {place}; leave it at its default"
        )));
    }
    if config.lora.dora != adapter.config.dora {
        let dora = adapter.config.dora;
        return Err(Error::usage(format!("lora.dora is {}, but the adapter in {place} says {dora}", !dora)));
    }
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
            "the ranks are {}, but the adapter in {place} from which training goes on has {spelled}; ask for its ranks, \
             or begin without it",
            asked.join(",")
        )));
    }
    Ok(())
}
