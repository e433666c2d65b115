//! Writes what a finished search leaves.

use super::{
    Engine, SearchCost, SearchOutcome, Session, adapter, card::card, observations::of_records,
    provenance::provenance, session::Searched,
};
use crate::{
    Error, PastBest, Score,
    config::SearchConfig,
    event::{Event, Observer},
    files, overfitting,
    plan::grid_price,
    report::{self, Provenance, ReportData, TestScore},
};
use mars_calib::{Campaign, RunRecord};
use mars_laws::analyse;
use mars_lora::{
    Examples, Model,
    peft::{CONFIG_FILE, WEIGHTS_FILE},
    stored::regular,
};
use mars_search::{Budget, PolicySpec, fine_tunes, run_cost, total_cost};
use std::path::Path;

/// Writes everything that a search by the native trainer leaves.
pub(super) fn native<M, E>(
    session: &mut Session<'_, M, E>,
    policy: &PolicySpec,
    searched: &Searched,
) -> Result<SearchOutcome, Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    let winner = winner(searched)?;
    let place = session.out.join("adapter");
    let trained = session.kept(winner)?;
    let cost = cost(searched);
    let decision = match session.task.vocabulary {
        Some(vocabulary) => searched.decision.clone().with_vocabulary(vocabulary),
        None => searched.decision.clone(),
    };
    let card = card(&decision, policy, cost);
    let ranks = adapter::rank_map(session, &trained, winner)?;
    retract(&session.out, &place)?;
    let written = adapter::write(session, &trained, &place, card)?;
    session.interrupt.check()?;
    session.observer.event(&Event::Testing);
    let batch = session.config.run.eval_batch;
    let base = session.task.score(None, batch)?;
    session.interrupt.check()?;
    let (tuned, exchanged_images) = session.task.score_and_exchange(&written, batch)?;
    let planned = (&session.space, &session.budget);
    let overfitting = overfitting::of_search(&session.campaign, &session.config, planned, &decision);
    let outcome = SearchOutcome {
        decision,
        results: searched.results.clone(),
        cost,
        adapter: Some(place),
        run: None,
        report: session.out.join("report.html"),
        test: Some(tuned),
        base: Some(base),
        exchanged_images,
        overfitting,
        past_best: None,
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
        grid: grid_price(&session.config, task, planned, &outcome.decision.ranks),
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
pub(super) fn external(
    engine: Engine<'_>,
    policy: &PolicySpec,
    budget: &Budget,
    searched: &Searched,
    out: &Path,
) -> Result<SearchOutcome, Error> {
    let winner = winner(searched)?;
    let own = out.join(EXTERNAL).join(winner.id.as_str());
    retract(out, &own)?;
    let run = regular::is_folder(&own).map_err(Error::io("read", &own))?.then_some(own);
    let has_adapter = run.as_deref().map(holds_adapter).transpose()?.unwrap_or(false);
    let Engine { campaign, config, observer, space, .. } = engine;
    let outcome = SearchOutcome {
        decision: searched.decision.clone(),
        results: searched.results.clone(),
        cost: cost(searched),
        adapter: run.clone().filter(|_| has_adapter),
        run,
        report: out.join("report.html"),
        test: None,
        base: None,
        exchanged_images: None,
        overfitting: overfitting::of_search(campaign, config, (space, budget), &searched.decision),
        past_best: PastBest::of(winner),
        left_out: Vec::new(),
    };
    let data = ReportData {
        provenance: super::provenance::of_external(
            config,
            outcome.adapter.as_deref(),
            outcome.run.as_deref(),
        )?,
        ..report_data(&outcome, policy, config, space, budget, winner)
    };
    write(&outcome, &data, config, campaign, out, observer)?;
    Ok(outcome)
}

/// Whether a trainer left an adapter of PEFT in the directory of its run.
fn holds_adapter(run: &Path) -> Result<bool, Error> {
    for name in [CONFIG_FILE, WEIGHTS_FILE, "adapter_model.bin"] {
        let file = run.join(name);
        if regular::is_file(&file).map_err(Error::io("read", &file))? {
            return Ok(true);
        }
    }
    Ok(false)
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
        grid: None,
        final_train: winner
            .train
            .iter()
            .filter(|point| point.loss.is_finite())
            .map(|point| (point.step, point.loss))
            .collect(),
        ranks: None,
        base: outcome.base.map(tested),
        tuned: outcome.test.map(tested),
        exchanged_images: outcome.exchanged_images,
        overfitting: outcome.overfitting.clone(),
        past_best: outcome.past_best,
        provenance: Provenance::default(),
    }
}

/// The sign that a search is over and that all it leaves is there: its decision, which is written last.
pub(super) const DECISION: &str = "decision.json";
const FITS: &str = "fits.json";
/// Lies beside the adapter, or what there is of the run.
const SUMMARY: &str = "mars_search.json";

/// Removes what a former search in `out` has left and this one may not write or writes last: until it is there, the search is not done,
/// and nothing is said of an adapter that is replaced.
fn retract(out: &Path, adapter: &Path) -> Result<(), Error> {
    [out.join(DECISION), adapter.join(SUMMARY), out.join(FITS)]
        .iter()
        .try_for_each(|path| files::remove(path))
}

/// Writes fits, summary, report, and last the decision.
fn write(
    outcome: &SearchOutcome,
    data: &ReportData,
    config: &SearchConfig,
    campaign: &Campaign,
    out: &Path,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    write_fits(config, campaign, out, observer)?;
    if let Some(place) = outcome.adapter.as_ref().or(outcome.run.as_ref()) {
        files::write_json(&place.join(SUMMARY), &outcome.summary())?;
    }
    files::write_json(&out.join("report.json"), data)?;
    files::write(&outcome.report, report::render(data).as_bytes())?;
    files::write_json(&out.join(DECISION), &outcome.decision)
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
        Ok(fit) => files::write_json(&out.join(FITS), &fit),
        Err(error) => {
            observer.event(&Event::Detail(&format!("no fits.json: {error}")));
            Ok(())
        }
    }
}
