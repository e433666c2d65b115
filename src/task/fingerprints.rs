//! Digests of what determines the results of runs on a task, and is no part of their specifications.

use super::{LeftOut, storage::model_digest};
use crate::{
    Error,
    config::{SearchConfig, Unusable},
    device::{Backend, DeviceList},
};
use std::{collections::BTreeMap, path::Path};

/// By what they are of, for the model in the directory `model`, training and validation samples, the adapter that training goes on
/// from, and what was left out.
pub(super) fn of(
    config: &SearchConfig,
    model: &Path,
    [train, val]: [String; 2],
    adapter: Option<String>,
    left_out: &[LeftOut],
) -> Result<BTreeMap<String, String>, Error> {
    let model = model_digest(model, config.model.dtype, config.run.compute.unwrap_or_default())?;
    let all = [("model", Some(model)), ("train", Some(train)), ("val", Some(val)), ("adapter", adapter)];
    let mut all: BTreeMap<String, String> =
        all.into_iter().filter_map(|(of, digest)| Some((of.to_owned(), digest?))).collect();
    // Other back ends round otherwise: what they trained is no result of this one. The default one leaves ids as they are.
    let backend = DeviceList::parse(&config.run.device)?.backend();
    if backend != Backend::Cpu {
        all.insert("device".to_owned(), backend.to_string());
    }
    if config.data.bad_sample == Unusable::Drop {
        all.extend(LeftOut::fingerprints(left_out));
    }
    Ok(all)
}
