//! What a finished search leaves: adapter, decision, fits, report.

use crate::{
    Overfitting, PastBest, Score,
    task::{ExchangedImages, LeftOut},
};
use mars_laws::Ranks;
use mars_search::{Confidence, Decision, DecisionOutcome, Gain, TrialResult};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A finished search.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SearchOutcome {
    /// The chosen ranks, why, and every candidate.
    pub decision: Decision,
    /// Every trial with its result.
    pub results: Vec<TrialResult>,
    /// What the search cost, the final run included.
    pub cost: SearchCost,
    /// Directory of the adapter; of a search with an external command the directory of the winning run, where an adapter of PEFT
    /// is in it; `None` where the trainer keeps it elsewhere.
    pub adapter: Option<PathBuf>,
    /// Directory of the winning run of an external command.
    pub run: Option<PathBuf>,
    /// The report, one HTML page.
    pub report: PathBuf,
    /// The adapter on the test split; `None` after a search by an external trainer.
    pub test: Option<Score>,
    /// The base model on the test split; `None` likewise.
    pub base: Option<Score>,
    /// The adapter on test samples, at most 256, with the images of others; `None` where there are no such, after a search by an
    /// external trainer, and for a task of one's own.
    pub exchanged_images: Option<ExchangedImages>,
    /// How long the final run is against the time from which on its data over-fit; `None` where no run says anything about it.
    pub overfitting: Option<Overfitting>,
    /// Where the final run was better before its end, after a search by an external trainer, of which the last adapter is kept.
    pub past_best: Option<PastBest>,
    /// Samples of the data that could not be used and were left out.
    pub left_out: Vec<LeftOut>,
}

/// What a search cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct SearchCost {
    /// In units of one fine-tune, the cost of the final run: by FLOPs, or by time where the trainer tells none (`flops` is 0);
    /// `None` where that is not known.
    pub fine_tunes: Option<f64>,
    /// Model FLOPs of training and evaluation.
    pub flops: f64,
    /// Wall time of training in seconds, summed over runs: more than has passed where some of them trained side by side.
    pub wall_s: f64,
}

/// An outcome in short, as it is written beside the adapter (`mars_search.json`).
#[derive(Clone, Debug, Serialize)]
pub struct Summary<'a> {
    /// The chosen ranks.
    pub ranks: &'a Ranks,
    /// In which sense they are an answer.
    pub outcome: DecisionOutcome,
    /// Why they were chosen; that training did not improve the model is said first.
    pub reason: &'a str,
    /// What training brought, on the validation samples; `None` where the model was not evaluated before its first step.
    pub gain: Option<Gain>,
    /// How sure the choice is, where choices were compared on the same validation samples.
    pub confidence: Option<Confidence>,
    /// What the search cost.
    pub cost: SearchCost,
    /// Directory of the adapter, where it is known.
    pub adapter: Option<&'a Path>,
    /// Directory of the winning run of an external command.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<&'a Path>,
    /// The report.
    pub report: &'a Path,
    /// The adapter on the test split.
    pub test: Option<Score>,
    /// The base model on the test split.
    pub base: Option<Score>,
    /// The adapter with the images of other test samples: whether its answers depend on them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchanged_images: Option<ExchangedImages>,
    /// How long the planned final run is against the time from which on its data over-fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overfitting: Option<&'a Overfitting>,
    /// Where the final run of an external trainer was better before its end, whose adapter is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub past_best: Option<PastBest>,
    /// Samples of the data that could not be used and were left out.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub left_out: &'a [LeftOut],
}

impl SearchOutcome {
    /// Whether the adapter makes the model better than it was before training, on the validation samples. Also true where
    /// that was not measured, by an external trainer that does not evaluate before its first step.
    pub fn is_improvement(&self) -> bool {
        self.decision.outcome != DecisionOutcome::Unimproved
    }

    /// The outcome in short.
    pub fn summary(&self) -> Summary<'_> {
        Summary {
            ranks: &self.decision.ranks,
            outcome: self.decision.outcome,
            reason: &self.decision.reason,
            gain: self.decision.gain,
            confidence: self.decision.confidence,
            cost: self.cost,
            adapter: self.adapter.as_deref(),
            run: self.run.as_deref(),
            report: &self.report,
            test: self.test,
            base: self.base,
            exchanged_images: self.exchanged_images,
            overfitting: self.overfitting.as_ref(),
            past_best: self.past_best,
            left_out: &self.left_out,
        }
    }
}
