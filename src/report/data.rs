//! What a report is made of.

use crate::{Overfitting, PastBest, task::ExchangedImages};
use mars_search::{Budget, Decision, Role, Space, TrialResult};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// Everything that the report shows; costs, curves and laws are taken from the results and the decision.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReportData {
    /// Name of the policy, as on the command line.
    pub policy: String,
    /// The space that was searched.
    pub space: Space,
    /// What could be spent.
    pub budget: Budget,
    /// Balance `t_module = kappa * t_reference`; 1 in the paper.
    pub kappa: f64,
    /// The decision.
    pub decision: Decision,
    /// Every trial of the search with its result.
    pub results: Vec<TrialResult>,
    /// What the full grid of the candidate ranks would have cost in fine-tunes, by the FLOPs of its runs; `None` where these are not known: of a
    /// search by an external trainer, and in reports of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grid: Option<f64>,
    /// Training loss of the final run, (optimizer step, nats per answer token), by rising step.
    pub final_train: Vec<(usize, f64)>,
    /// Ranks by layer, where they differ within a module.
    #[serde(default)]
    pub ranks: Option<RankMap>,
    /// The base model on the test split.
    pub base: Option<TestScore>,
    /// The base model with the adapter on the test split.
    pub tuned: Option<TestScore>,
    /// The adapter with the images of other test samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchanged_images: Option<ExchangedImages>,
    /// How long the final run is against the time from which on its data over-fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overfitting: Option<Overfitting>,
    /// Where the final run was better before its end, whose adapter is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past_best: Option<PastBest>,
    /// Where everything comes from.
    pub provenance: Provenance,
}

/// Ranks by layer of the adapter that is the result.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RankMap {
    /// The layers in the model's order.
    pub layers: Vec<LayerRank>,
    /// Mean rank of each module over the run, (optimizer step, rank); empty where ranks did not change.
    pub course: BTreeMap<String, Vec<(usize, f64)>>,
}

/// One layer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LayerRank {
    /// Module path.
    pub path: String,
    /// The module with a rank of its own that it belongs to.
    pub module: String,
    /// Its rank; 0 where it is not adapted.
    pub rank: usize,
}

/// A model on the test split.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct TestScore {
    /// exp(mean cross-entropy per answer token); infinite is `null` in files.
    #[serde(deserialize_with = "or_infinite")]
    pub perplexity: f64,
    /// Share of samples answered exactly, 0 to 1.
    pub accuracy: Option<f64>,
}

fn or_infinite<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::INFINITY))
}

/// Where everything comes from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Provenance {
    /// The base model: its directory or name.
    pub model: String,
    /// The data set: its file or name.
    pub data: String,
    /// Where the adapter lies.
    pub adapter: String,
    /// Version of the program.
    pub version: String,
    /// Further facts, in order: fingerprints, device, scale convention, learning rates, ...
    pub more: Vec<(String, String)>,
}

impl ReportData {
    /// Results of one role.
    pub fn of_role(&self, role: Role) -> impl Iterator<Item = &TrialResult> {
        self.results.iter().filter(move |result| result.trial.role == role)
    }

    /// The result of the trial that the decision rests on.
    pub fn winner(&self) -> Option<&TrialResult> {
        self.results.iter().find(|result| result.trial.id == self.decision.trial)
    }
}
