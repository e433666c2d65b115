//! `mars calibrate`: the calibration runs that are not done yet.

use crate::{
    args,
    cmd::{Context, place_flags, session::Session},
    drive,
    failure::{Exit, Failure},
    output, quantity,
    workshop::Workshop,
};
use anyhow::Result;
use mars_calib::RunEnd;
use mars_laws::Ranks;
use mars_lora::Examples;
use mars_search::{NoResults, Outcome, Role, Trial, search};
use serde::Serialize;
use std::collections::BTreeMap;

/// One run of the plan, done.
#[derive(Debug, Serialize)]
struct Calibrated {
    index: usize,
    id: String,
    role: Role,
    ranks: Ranks,
    samples: usize,
    seed: u64,
    steps: usize,
    end: String,
    loss: Option<f64>,
    convergence: Option<f64>,
    censored: Option<String>,
}

pub(crate) fn run(context: &Context, args: &args::Calibrate) -> Result<Exit> {
    let mut flags = place_flags(&args.place)?;
    flags.extend(args.policy.as_ref().map(|policy| ("search.policy", policy.as_str().into())));
    let mut config = match &args.place.out {
        Some(directory) => context.config_of(directory, &args.task, &flags)?,
        None => context.config(&args.task, &flags)?,
    };
    let workshop = Workshop::open(&mut config, context.console)?;
    let mut session = Session::open(context, &config, &workshop, &args.place)?;
    let budget = config.budget(workshop.train.len(), config.train.seed);
    let mut policy = session.policy(&config.search.policy, &budget)?;
    let first = match search(&mut *policy, &mut NoResults)?.outcome {
        Outcome::Missing { asked, .. } => asked,
        Outcome::Decided(_) => Vec::new(),
    };
    let planned: Vec<Trial> =
        first.into_iter().filter(|trial| matches!(trial.role, Role::Alone | Role::Joint)).collect();
    if planned.is_empty() {
        let message = format!(
            "the policy {} asks for no calibration within search.fine_tunes = {}; raise that, or try race or paper",
            config.search.policy, config.search.fine_tunes
        );
        return Err(Failure::usage(message).into());
    }
    let chosen: Vec<(usize, Trial)> = match args.index {
        None => planned.into_iter().enumerate().collect(),
        Some(index) => {
            let count = planned.len();
            let last = count - 1;
            let beyond =
                || Failure::usage(format!("--index {index}: the plan has {count} runs, 0 to {last}"));
            let trial = planned.into_iter().nth(index).ok_or_else(beyond)?;
            vec![(index, trial)]
        }
    };
    let trials: Vec<Trial> = chosen.iter().map(|(_, trial)| trial.clone()).collect();
    let records = session.runs(&trials)?;
    let rule = config.rule()?;
    let done: Vec<Calibrated> = chosen
        .into_iter()
        .zip(&records)
        .map(|((index, trial), record)| {
            let result = drive::result(&*rule, &trial, record, &BTreeMap::new());
            Calibrated {
                index,
                id: record.id.to_string(),
                role: trial.role,
                loss: result.last_loss(),
                ranks: trial.ranks,
                samples: trial.samples,
                seed: trial.seed,
                steps: trial.steps,
                end: record.end.to_string(),
                convergence: result.convergence,
                censored: result.censored,
            }
        })
        .collect();
    if context.common.json {
        output::json(&serde_json::json!({ "runs": done }))?;
    } else {
        output::text(table(&done))?;
    }
    let failed = records.iter().filter(|record| matches!(record.end, RunEnd::Failed { .. })).count();
    if failed > 0 {
        return Err(Failure::new(Exit::Failed, format!("{failed} of {} runs failed", records.len())).into());
    }
    Ok(Exit::Done)
}

fn table(runs: &[Calibrated]) -> String {
    let header =
        ["run", "ranks", "samples", "seed", "loss", "converged after", "end"].map(String::from).to_vec();
    let rows = runs.iter().map(|run| {
        let time = run.convergence.map(|steps| format!("{steps:.1} steps"));
        vec![
            run.index.to_string(),
            run.ranks.to_string(),
            run.samples.to_string(),
            run.seed.to_string(),
            quantity::number(run.loss),
            time.or_else(|| run.censored.clone()).unwrap_or_else(|| "-".into()),
            run.end.clone(),
        ]
    });
    output::table(&std::iter::once(header).chain(rows).collect::<Vec<_>>())
}
