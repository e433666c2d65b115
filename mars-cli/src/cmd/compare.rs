//! `mars compare`: policies on one task in one table, with the same accounting for all.

use crate::{
    args,
    cmd::{Context, place_flags, recording, session::Session},
    failure::Exit,
    output, quantity,
    workshop::Workshop,
};
use anyhow::Result;
use mars_calib::{RunId, RunSpec};
use mars_laws::Ranks;
use mars_lora::Examples;
use mars_search::{
    Budget, Cost, GridCell, Method, PolicySpec, RegretTable, Score, TrialEnd, TrialResult, regret_table,
    replayed_score, run_cost, total_cost,
};
use serde::Serialize;
use std::collections::BTreeMap;

/// What `mars compare --json` prints: the table, and what the base model does.
#[derive(Serialize)]
struct Compared {
    #[serde(flatten)]
    table: RegretTable,
    base_test_perplexity: f64,
}

pub(crate) fn run(context: &Context, args: &args::Compare) -> Result<Exit> {
    let policies = PolicySpec::parse_list(&args.policies)?;
    if !args.replay.is_empty() {
        return replayed(context, args, &policies);
    }
    let mut config = context.config(&args.task, &place_flags(&args.place)?)?;
    let workshop = Workshop::open(&mut config, context.console)?;
    let mut session = Session::open(context, &config, &workshop, &args.place)?;
    let mut measured = Measured::default();
    let mut scores = Vec::new();
    for offset in 0..u64::from(args.seeds) {
        let mut budget = config.budget(workshop.train.len(), config.train.seed + offset);
        budget.calibration.seeds.iter_mut().for_each(|seed| *seed += offset);
        for policy in &policies {
            context.console.say(format!("policy {policy}, seed {}", budget.seed));
            scores.push(one(&mut session, policy, &budget, &mut measured)?);
        }
    }
    let base_test_perplexity = session.test(None)?.perplexity;
    if let Some(path) = &args.record {
        let Measured { methods, tested, .. } = &measured;
        let seeds = u64::from(args.seeds);
        recording::write(
            path,
            &recording::of_campaign(&session, seeds, methods, tested, base_test_perplexity)?,
        )?;
    }
    let compared = Compared { table: regret_table(&scores, &measured.cells), base_test_perplexity };
    if context.common.json {
        output::json(&compared)?;
    } else {
        output::text(describe(&compared))?;
    }
    Ok(Exit::Done)
}

/// Policies on recordings: a table for each task.
fn replayed(context: &Context, args: &args::Compare, policies: &[PolicySpec]) -> Result<Exit> {
    let config = context.config(&args.task, &[])?;
    let policies: Vec<PolicySpec> = policies.iter().map(|policy| config.policy(policy)).collect();
    let mut all = Vec::new();
    for path in &args.replay {
        let recording = recording::read(path)?;
        let seeds = recording.seeds().into_iter().take(args.seeds as usize);
        let scores = seeds
            .flat_map(|seed| policies.iter().map(move |policy| (policy, seed)))
            .map(|(policy, seed)| replayed_score(&recording, policy, seed))
            .collect::<std::result::Result<Vec<_>, _>>()?;
        let table = regret_table(&scores, &recording.grid());
        all.push((recording.task, Compared { table, base_test_perplexity: recording.base_perplexity }));
    }
    if context.common.json {
        output::json(&all.into_iter().collect::<BTreeMap<_, _>>())?;
    } else {
        for (task, compared) in &all {
            output::text(format!("{task}\n\n{}\n", describe(compared)))?;
        }
    }
    Ok(Exit::Done)
}

/// What a comparison has found out, beside scores.
#[derive(Default)]
struct Measured {
    /// Test perplexity of runs.
    tested: BTreeMap<RunId, f64>,
    /// Methods of runs that were not plain LoRA.
    methods: BTreeMap<RunId, Method>,
    /// Cells of the grid.
    cells: Vec<GridCell>,
}

/// One policy with one seed. A search in which every candidate failed is a row without a perplexity.
fn one(
    session: &mut Session<'_>,
    policy: &PolicySpec,
    budget: &Budget,
    measured: &mut Measured,
) -> Result<Score> {
    let driven = match session.search(policy, budget) {
        Ok(driven) => driven,
        Err(error) if matches!(error.downcast_ref(), Some(mars_search::Error::AllFailed { .. })) => {
            session.context.console.warn(format!("{policy}: {error:#}"));
            return Ok(Score {
                policy: policy.to_string(),
                seed: budget.seed,
                ranks: Ranks::new(),
                test_perplexity: f64::NAN,
                cost: Cost::default(),
                final_run: Cost::default(),
            });
        }
        Err(error) => return Err(error),
    };
    let Measured { tested, methods, cells } = measured;
    let used = |result: &TrialResult| {
        let method = result.trial.method?;
        Some((driven.records.get(&result.trial.id)?.id.clone(), method))
    };
    methods.extend(driven.results.iter().filter_map(used));
    let mut test = |spec: &RunSpec| -> Result<f64> {
        if let Some(known) = tested.get(&spec.id()) {
            return Ok(*known);
        }
        let adapter = session.adapter(spec)?;
        let perplexity = session.test(Some(&adapter))?.perplexity;
        tested.insert(spec.id(), perplexity);
        Ok(perplexity)
    };
    if *policy == PolicySpec::Grid {
        for result in driven.results.iter().filter(|result| result.trial.steps == budget.steps) {
            let test_perplexity = match (&result.end, driven.records.get(&result.trial.id)) {
                (TrialEnd::Finished, Some(record)) => test(&record.spec)?,
                _ => f64::NAN,
            };
            cells.push(GridCell {
                ranks: result.trial.ranks.clone(),
                seed: result.trial.seed,
                test_perplexity,
            });
        }
    }
    let winner = driven.records.get(&driven.decision.trial).map(|record| record.spec.clone());
    Ok(Score {
        policy: policy.to_string(),
        seed: budget.seed,
        ranks: driven.decision.ranks.clone(),
        test_perplexity: winner.map_or(Ok(f64::NAN), |spec| test(&spec))?,
        cost: total_cost(&driven.results),
        final_run: run_cost(&driven.results, driven.decision.trial),
    })
}

fn describe(compared: &Compared) -> String {
    let Compared { table, base_test_perplexity } = compared;
    let percent =
        |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{:.2} %", 100.0 * value));
    let header = ["policy", "seed", "ranks", "test perplexity", "regret", "fine-tunes", "training s"]
        .map(String::from);
    let rows = table.rows.iter().map(|row| {
        vec![
            row.policy.clone(),
            row.seed.to_string(),
            row.ranks.to_string(),
            quantity::number(Some(row.test_perplexity)),
            percent(row.regret),
            quantity::number(row.fine_tunes),
            format!("{:.1}", row.wall_s),
        ]
    });
    let rows = output::table(&std::iter::once(header.to_vec()).chain(rows).collect::<Vec<_>>());
    let header =
        ["policy", "seeds", "perplexity", "sd", "regret", "sd", "fine-tunes", "training s"].map(String::from);
    let means = table.policies.iter().map(|policy| {
        vec![
            policy.policy.clone(),
            policy.seeds.to_string(),
            quantity::number(policy.perplexity),
            quantity::number(policy.perplexity_sd),
            percent(policy.regret),
            percent(policy.regret_sd),
            quantity::number(policy.fine_tunes),
            policy.wall_s.map_or_else(|| "-".into(), |seconds| format!("{seconds:.1}")),
        ]
    });
    let means = output::table(&std::iter::once(header.to_vec()).chain(means).collect::<Vec<_>>());
    let best = match &table.best {
        Some(best) => format!(
            "best of the grid: {} with a mean test perplexity of {:.4} over {} seeds (sd {})",
            best.ranks,
            best.perplexity,
            best.seeds,
            quantity::number(best.sd)
        ),
        None => "no regret: add `grid` to --policies to know the best".to_owned(),
    };
    format!("{rows}\n\n{means}\n\n{best}\nbase model without adapter: {base_test_perplexity:.4}")
}
