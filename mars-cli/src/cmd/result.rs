//! What a finished search leaves: adapter, decision, fits, report, and a summary for the user.

use crate::{
    cmd::{
        adapter::KnownNames,
        session::{Score, Session},
    },
    drive::Driven,
    failure::{Exit, Failure},
    observed, output, quantity,
    report::{self, LayerRank, Provenance, RankMap, ReportData, TestScore},
    workshop::Files,
};
use anyhow::{Context as _, Result};
use mars_calib::{RankPoint, RunRecord};
use mars_laws::{Ranks, analyse};
use mars_lora::{Adapter, AdapterStack, Examples, Model, peft};
use mars_search::{DecisionOutcome, PolicySpec, fine_tunes, run_cost, total_cost};
use serde::Serialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

/// What `mars search --json` prints.
#[derive(Debug, Serialize)]
struct Summary {
    ranks: Ranks,
    outcome: DecisionOutcome,
    reason: String,
    cost: Cost,
    adapter: PathBuf,
    report: PathBuf,
    test: Score,
    base: Score,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Cost {
    fine_tunes: Option<f64>,
    flops: f64,
    wall_s: f64,
}

/// Writes everything and prints the summary.
pub(crate) fn deliver(session: &mut Session<'_>, policy: &PolicySpec, driven: &Driven) -> Result<()> {
    let Driven { decision, results, records } = driven;
    let lost =
        || Failure::new(Exit::Failed, format!("the trial {} of the decision has no record", decision.trial));
    let winner = records.get(&decision.trial).ok_or_else(lost)?;
    let adapter = session.adapter(&winner.spec)?;
    let cost = {
        let total = total_cost(results);
        let fine_tunes = fine_tunes(&total, &run_cost(results, decision.trial));
        Cost { fine_tunes, flops: total.total_flops(), wall_s: total.wall_s }
    };
    let out = session.config.out.dir.clone();
    let card = format!(
        "Ranks chosen by `mars` {} with policy `{policy}`: {}\n\nCost of the search: {} fine-tunes.",
        env!("CARGO_PKG_VERSION"),
        decision.reason,
        quantity::number(cost.fine_tunes)
    );
    let ranks = rank_map(session, &adapter, winner)?;
    let place = out.join("adapter");
    let adapter = write_adapter(session, &adapter, &place, card)?;
    session.context.console.say("evaluating on the test split");
    let (base, tuned) = (session.test(None)?, session.test(Some(&adapter))?);

    json(&out.join("decision.json"), decision)?;
    fits(session, &out)?;
    let summary = Summary {
        ranks: decision.ranks.clone(),
        outcome: decision.outcome,
        reason: decision.reason.clone(),
        cost,
        adapter: place.clone(),
        report: out.join("report.html"),
        test: tuned,
        base,
    };
    json(&place.join("mars_search.json"), &summary)?;
    let tested = |score: Score| TestScore { perplexity: score.perplexity, accuracy: Some(score.accuracy) };
    let data = ReportData {
        policy: policy.to_string(),
        space: session.config.space(session.workshop.parameters_per_rank(session.config)?),
        budget: session.config.budget(session.workshop.train.len(), session.config.train.seed),
        kappa: session.config.search.kappa,
        decision: decision.clone(),
        results: results.clone(),
        final_train: winner.train.iter().map(|point| (point.step, point.loss)).collect(),
        ranks,
        base: Some(tested(base)),
        tuned: Some(tested(tuned)),
        provenance: provenance(session, &place),
    };
    json(&out.join("report.json"), &data)?;
    save(&summary.report, report::render(&data).as_bytes())?;
    print(session, &summary)
}

/// Ranks by layer, where they differ within a module or have changed.
fn rank_map(session: &Session<'_>, adapter: &Adapter, record: &RunRecord) -> Result<Option<RankMap>> {
    let model = &session.workshop.model;
    let ranks = adapter.config.site_ranks(model.modules(), model.sites())?;
    let modules = &session.config.lora.modules;
    let layers: Vec<LayerRank> = model
        .sites()
        .iter()
        .zip(ranks)
        .filter(|(site, _)| modules.contains(&site.module) && adapter.config.targets.contain(site))
        .map(|(site, rank)| LayerRank { path: site.path.clone(), module: site.module.clone(), rank })
        .collect();
    let differ = |module: &String| {
        let mut own = layers.iter().filter(|layer| layer.module == *module).map(|layer| layer.rank);
        own.next().is_some_and(|first| own.any(|rank| rank != first))
    };
    if record.rank_maps.is_empty() && !modules.iter().any(differ) {
        return Ok(None);
    }
    let course = modules.iter().map(|module| {
        let mean = |point: &RankPoint| {
            let own = model.sites().iter().filter(|site| site.module == *module);
            let ranks: Vec<usize> = own.filter_map(|site| point.ranks.get(&site.path).copied()).collect();
            let sum: usize = ranks.iter().sum();
            (!ranks.is_empty()).then(|| (point.step, sum as f64 / ranks.len() as f64))
        };
        (module.clone(), record.rank_maps.iter().filter_map(mean).collect())
    });
    Ok(Some(RankMap { course: course.collect(), layers }))
}

fn print(session: &Session<'_>, summary: &Summary) -> Result<()> {
    if session.context.common.json {
        return output::json(summary);
    }
    let Summary { ranks, outcome, reason, cost, adapter, report, test, base } = summary;
    output::text(format!(
        "ranks     {ranks} ({outcome})\n\
         why       {reason}\n\
         test      perplexity {:.4} (base model {:.4}), accuracy {:.1} % (base model {:.1} %)\n\
         cost      {} fine-tunes, {}, {} of training; {} in this call\n\
         adapter   {}\n\
         report    {}",
        test.perplexity,
        base.perplexity,
        100.0 * test.accuracy,
        100.0 * base.accuracy,
        quantity::number(cost.fine_tunes),
        quantity::flops(cost.flops),
        crate::console::duration(cost.wall_s),
        crate::console::duration(session.started.elapsed().as_secs_f64()),
        adapter.display(),
        report.display(),
    ))
}

/// Writes the adapter, reads it back, and makes sure that it still computes the same. Returns what was read.
fn write_adapter(session: &Session<'_>, adapter: &Adapter, place: &Path, card: String) -> Result<Adapter> {
    let model = &session.workshop.model;
    let files = session.config.model.dir.clone();
    let base_model = if files.is_empty() { "mars-embedded-idefics3".to_owned() } else { files };
    let provenance = peft::Provenance { base_model, summary: card };
    let names = KnownNames::of(&Files::of(session.config, session.context.console)?.model)?;
    let base = names.base(model);
    peft::write(place, adapter, &base, session.config.out.adapter_layout, &provenance)?;
    let read = peft::read(place, &base)?;
    let stack = AdapterStack::new(&[adapter.clone(), read.clone()], model)?;
    let rows: Vec<usize> = (0..session.workshop.val.len().min(8)).collect();
    let both = mars_calib::native::evaluate(model, &session.workshop.val, &rows, rows.len(), &stack)?;
    let losses: Vec<f64> = both.iter().map(mars_calib::native::Evaluation::loss).collect();
    if (losses[0] - losses[1]).abs() > 1e-5 * losses[0].abs() {
        let message = format!(
            "the adapter in {} does not compute what was trained (loss {} instead of {})",
            place.display(),
            losses[1],
            losses[0]
        );
        return Err(Failure::new(Exit::Failed, message).into());
    }
    Ok(read)
}

/// Writes `fits.json`, where there is enough to fit.
fn fits(session: &Session<'_>, out: &Path) -> Result<()> {
    let rule = session.config.rule()?;
    let conventions = session.config.recipe().convention(&session.campaign.settings().fingerprint());
    let records =
        session.campaign.records().values().filter(|record| record.spec.convention() == conventions);
    let observations = observed::observations(records, session.config, &*rule);
    if observations.convergence.is_empty() && observations.performance.is_empty() {
        return Ok(());
    }
    match analyse(&observations, &session.config.fit_request()) {
        Ok(fit) => json(&out.join("fits.json"), &fit),
        Err(error) => {
            session.context.console.detail(format!("no fits.json: {error}"));
            Ok(())
        }
    }
}

fn provenance(session: &Session<'_>, adapter: &Path) -> Provenance {
    let config = session.config;
    let rates = config.learning_rates();
    let rates: Vec<String> = rates.iter().map(|(module, rate)| format!("{module} {rate}")).collect();
    let mut more = vec![
        ("device".to_owned(), config.run.device.clone()),
        ("LoRA scale".to_owned(), config.lora.scale.to_string()),
        ("learning rates".to_owned(), rates.join(", ")),
        (
            "layers".to_owned(),
            if config.lora.targets.is_empty() { "all linear" } else { &config.lora.targets }.to_owned(),
        ),
        ("convergence".to_owned(), config.calibration.rule.clone()),
        ("seed".to_owned(), config.train.seed.to_string()),
    ];
    let digests = session
        .workshop
        .fingerprints
        .iter()
        .filter(|(of, _)| ["model", "train", "val"].contains(&of.as_str()));
    more.extend(digests.map(|(of, digest)| (format!("fingerprint of {of}"), digest.clone())));
    Provenance {
        model: session.workshop.model_name.clone(),
        data: session.workshop.data_name.clone(),
        adapter: adapter.display().to_string(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        more,
    }
}

/// Writes a value as indented JSON.
pub(crate) fn json(path: &Path, value: &impl Serialize) -> Result<()> {
    let text =
        serde_json::to_string_pretty(value).with_context(|| format!("cannot write {}", path.display()))?;
    save(path, text.as_bytes())
}

/// Writes a file by one rename.
pub(crate) fn save(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_extension(format!("tmp-{}", std::process::id()));
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .with_context(|| format!("cannot write {}", path.display()))
}
