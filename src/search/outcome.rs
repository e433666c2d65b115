//! What a finished search leaves: adapter, decision, fits, report.

use super::{
    Engine, Session, adapter, card::card, observations::of_records, provenance::provenance, session::Searched,
};
use crate::{
    Error, Overfitting, Score,
    config::SearchConfig,
    event::{Event, Observer},
    files, overfitting,
    report::{self, Provenance, ReportData, TestScore},
    task::LeftOut,
};
use mars_calib::{Campaign, RunRecord};
use mars_laws::{Ranks, analyse};
use mars_lora::{Examples, Model, stored::regular};
use mars_search::{
    Budget, Confidence, Decision, DecisionOutcome, Gain, PolicySpec, TrialResult, fine_tunes, run_cost,
    total_cost,
};
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
    /// Directory of the adapter; of a search with an external command the directory of the winning run; `None` where a
    /// trainer of one's own keeps it.
    pub adapter: Option<PathBuf>,
    /// The report, one HTML page.
    pub report: PathBuf,
    /// The adapter on the test split; `None` after a search by an external trainer.
    pub test: Option<Score>,
    /// The base model on the test split; `None` likewise.
    pub base: Option<Score>,
    /// How long the final run is against the time from which on its data over-fit; `None` where no run says anything about it.
    pub overfitting: Option<Overfitting>,
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
    /// Wall time of all trials in seconds.
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
    /// The report.
    pub report: &'a Path,
    /// The adapter on the test split.
    pub test: Option<Score>,
    /// The base model on the test split.
    pub base: Option<Score>,
    /// How long the planned final run is against the time from which on its data over-fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overfitting: Option<&'a Overfitting>,
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
            report: &self.report,
            test: self.test,
            base: self.base,
            overfitting: self.overfitting.as_ref(),
            left_out: &self.left_out,
        }
    }
}

/// Writes everything that a search by the native trainer leaves.
pub(super) fn deliver<M, E>(
    session: &mut Session<'_, M, E>,
    policy: &PolicySpec,
    searched: &Searched,
) -> Result<SearchOutcome, Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    let winner = winner(searched)?;
    let trained = session.kept(winner)?;
    let cost = cost(searched);
    let decision = match session.task.vocabulary {
        Some(vocabulary) => searched.decision.clone().with_vocabulary(vocabulary),
        None => searched.decision.clone(),
    };
    let card = card(&decision, policy, cost);
    let ranks = adapter::rank_map(session, &trained, winner)?;
    let place = session.out.join("adapter");
    let written = adapter::write(session, &trained, &place, card)?;
    session.go_on()?;
    session.observer.event(&Event::Testing);
    let batch = session.config.run.eval_batch;
    let base = session.task.score(None, batch)?;
    session.go_on()?;
    let tuned = session.task.score(Some(&written), batch)?;
    let planned = (&session.space, &session.budget);
    let overfitting = overfitting::of_search(&session.campaign, &session.config, planned, &decision);
    let outcome = SearchOutcome {
        decision,
        results: searched.results.clone(),
        cost,
        adapter: Some(place),
        report: session.out.join("report.html"),
        test: Some(tuned),
        base: Some(base),
        overfitting,
        left_out: session.task.left_out.clone(),
    };
    let task = session.task;
    let fingerprints = task.fingerprints.iter();
    let fingerprints = fingerprints.filter(|(of, _)| ["model", "train", "val"].contains(&of.as_str()));
    let more = fingerprints.map(|(of, digest)| (format!("fingerprint of {of}"), digest.clone()));
    let left_out = task.left_out.iter().map(|one| (format!("left out of {}", one.part), one.to_string()));
    let more = more.chain(left_out);
    let data = ReportData {
        ranks,
        provenance: provenance(
            &session.config,
            &task.model_name,
            &task.data_name,
            outcome.adapter.as_deref(),
            more,
        ),
        ..report_data(&outcome, policy, &session.config, &session.space, &session.budget, winner)
    };
    write(&outcome, &data, &session.config, &session.campaign, &session.out, &mut *session.observer)?;
    Ok(outcome)
}

/// Writes everything that a search by an external trainer leaves.
pub(super) fn deliver_external(
    engine: Engine<'_>,
    policy: &PolicySpec,
    budget: &Budget,
    searched: &Searched,
    out: &Path,
) -> Result<SearchOutcome, Error> {
    let winner = winner(searched)?;
    let own = out.join(EXTERNAL).join(winner.id.as_str());
    let has_own = regular::is_folder(&own).map_err(Error::io("read", &own))?;
    let Engine { campaign, config, observer, space, .. } = engine;
    let outcome = SearchOutcome {
        decision: searched.decision.clone(),
        results: searched.results.clone(),
        cost: cost(searched),
        adapter: has_own.then_some(own),
        report: out.join("report.html"),
        test: None,
        base: None,
        overfitting: overfitting::of_search(campaign, config, (space, budget), &searched.decision),
        left_out: Vec::new(),
    };
    let command = config.trainer.command.clone().unwrap_or_else(|| "a trainer of one's own".to_owned());
    let more = [("trainer".to_owned(), command)];
    let data = ReportData {
        provenance: provenance(
            config,
            "that of the trainer",
            "those of the trainer",
            outcome.adapter.as_deref(),
            more,
        ),
        ..report_data(&outcome, policy, config, space, budget, winner)
    };
    write(&outcome, &data, config, campaign, out, observer)?;
    Ok(outcome)
}

/// Directory of the runs of an external command, within that of the campaign.
pub(super) const EXTERNAL: &str = "external";

/// The record of the run that the decision names.
fn winner(searched: &Searched) -> Result<&RunRecord, Error> {
    let trial = searched.decision.trial;
    let lost = || Error::failed(format!("trial {trial} of the decision has no record"));
    searched.records.get(&trial).ok_or_else(lost)
}

fn cost(searched: &Searched) -> SearchCost {
    let total = total_cost(&searched.results);
    let fine_tunes = fine_tunes(&total, &run_cost(&searched.results, searched.decision.trial));
    SearchCost { fine_tunes, flops: total.total_flops(), wall_s: total.wall_s }
}

fn report_data(
    outcome: &SearchOutcome,
    policy: &PolicySpec,
    config: &SearchConfig,
    space: &mars_search::Space,
    budget: &Budget,
    winner: &RunRecord,
) -> ReportData {
    let tested = |score: Score| TestScore { perplexity: score.perplexity, accuracy: Some(score.accuracy) };
    ReportData {
        policy: policy.to_string(),
        space: space.clone(),
        budget: budget.clone(),
        kappa: config.search.balance().kappa,
        decision: outcome.decision.clone(),
        results: outcome.results.clone(),
        final_train: winner.train.iter().map(|point| (point.step, point.loss)).collect(),
        ranks: None,
        base: outcome.base.map(tested),
        tuned: outcome.test.map(tested),
        overfitting: outcome.overfitting.clone(),
        provenance: Provenance::default(),
    }
}

/// Writes decision, fits, summary and report.
fn write(
    outcome: &SearchOutcome,
    data: &ReportData,
    config: &SearchConfig,
    campaign: &Campaign,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    files::write_json(&out.join("decision.json"), &outcome.decision)?;
    write_fits(config, campaign, out, observer)?;
    if let Some(adapter) = &outcome.adapter {
        files::write_json(&adapter.join("mars_search.json"), &outcome.summary())?;
    }
    files::write_json(&out.join("report.json"), data)?;
    files::write(&outcome.report, report::render(data).as_bytes())
}

/// Writes `fits.json`, where there is enough to fit.
fn write_fits(
    config: &SearchConfig,
    campaign: &Campaign,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    let observations = of_records(campaign.records().values(), campaign.settings(), config);
    if observations.convergence.is_empty() && observations.performance.is_empty() {
        return Ok(());
    }
    match analyse(&observations, &config.fit_request()) {
        Ok(fit) => files::write_json(&out.join("fits.json"), &fit),
        Err(error) => {
            observer.event(&Event::Detail(&format!("no fits.json: {error}")));
            Ok(())
        }
    }
}
