//! How long the planned run is against the over-fitting time, where a campaign on the same model and data knows.

use crate::{
    config::SearchConfig,
    overfitting::{self, Overfitting},
    search::observations_of,
};
use mars_calib::Campaign;
use mars_laws::{Ranks, analyse};
use mars_search::{Budget, Space};
use std::collections::BTreeMap;

/// What makes runs of another campaign those of this task.
const SAME: [&str; 3] = ["model", "train", "val"];

/// At the highest candidate ranks, which over-fit first, by the campaign in the directory of a resolved `config`; `None` without one on the model and
/// the data with these `fingerprints`, or without a run that says anything.
pub(super) fn lasting(
    config: &SearchConfig,
    fingerprints: &BTreeMap<String, String>,
    space: &Space,
    budget: &Budget,
) -> Option<Overfitting> {
    // A plan is made without a campaign as well: one that cannot be read is for the search to refuse.
    let snapshot = Campaign::read(&config.out.dir).ok()?;
    let known = &snapshot.settings.fingerprints;
    if SAME.iter().any(|of| known.get(*of) != fingerprints.get(*of)) {
        return None;
    }
    let (of_campaign, _) = SearchConfig::of_campaign(&snapshot.settings).ok()?;
    let observations = observations_of(&snapshot, &of_campaign);
    let laws = analyse(&observations, &of_campaign.fit_request()).ok();
    let summaries = laws.iter().flat_map(|laws| &laws.law_c).map(|(module, law)| (module, &law.summary));
    let exponents = overfitting::exponents(summaries);
    let highest: Ranks = space
        .modules
        .iter()
        .filter_map(|module| Some((module.clone(), space.ranks_of(module).pop()?)))
        .collect();
    let like = (&config.run_template(), &*snapshot.settings.fingerprint());
    overfitting::of_records(snapshot.records.values(), like, &exponents, (space, budget, &highest))
}
