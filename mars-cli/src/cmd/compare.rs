//! `mars compare`: policies on one task in one table, with the same accounting for all.

use crate::{
    args,
    cmd::{Context, set_path},
    exit::Exit,
    output,
};
use mars::{
    Comparison, Error, ErrorKind,
    compare::{read_recording, replay, write_recording},
    config::SearchSection,
    mars_search::PolicySpec,
    quantity::number,
};
use std::collections::BTreeMap;

/// Seeds of each policy, where their number is not given.
const SEEDS: u32 = 3;

pub(crate) fn run(context: &Context, args: &args::Compare) -> Result<Exit, Error> {
    let mut layers = context.layers(&args.task)?;
    set_path(&mut layers, "out.dir", &args.place.out)?;
    let config = layers.config()?;
    let policies = PolicySpec::parse_list(&args.policies)?;
    let policies: Vec<PolicySpec> =
        policies.iter().map(|policy| config.search.with_options(policy)).collect();
    if !args.replay.is_empty() {
        return replayed(context, args, &policies);
    }
    let seeds = args.seeds.unwrap_or(SEEDS);
    let task = context.open(&config)?;
    let mut reporter = context.reporter();
    let search = context.search(&config, &args.place, &mut reporter);
    let compared = search.compare(&task, &config.out.dir, &policies, u64::from(seeds))?;
    if let (Some(path), Some(recording)) = (&args.record, &compared.recording) {
        write_recording(path, recording)?;
    }
    if context.common.json {
        output::json(&compared)?;
    } else {
        output::text(describe(&compared, "add `grid` to --policies to find the best ranks"))?;
    }
    Ok(Exit::Done)
}

/// Policies on recordings: a table for each task.
fn replayed(context: &Context, args: &args::Compare, policies: &[PolicySpec]) -> Result<Exit, Error> {
    let mut given = args.replay.iter().enumerate();
    if let Some((_, path)) = given.find(|(at, path)| args.replay[..*at].contains(path)) {
        return Err(Error::usage(format!("--replay {} is given twice; give it once", path.display())));
    }
    // What policies are told comes from the section of searches; ranks, task, data and training are those of the recording.
    let used = |set: &str| SearchSection::is_policy_option(set.split('=').next().unwrap_or(set).trim());
    if let Some(set) = context.common.set.iter().find(|set| !used(set)) {
        return Err(Error::usage(format!(
            "--set {set}: a replay trains nothing, and takes ranks, data, model and training from the recording; only these settings \
             can be set: {}",
            SearchSection::POLICY_OPTIONS.join(", ")
        )));
    }
    let mut all = Vec::new();
    for path in &args.replay {
        let recording = read_recording(path).map_err(|error| match error.kind() {
            ErrorKind::Input => {
                Error::input(format!("{error}; `mars compare --record FILE.json.gz` writes one"))
            }
            _ => error,
        })?;
        let recorded = recording.seeds().len();
        if let Some(seeds) = args.seeds.filter(|seeds| *seeds as usize > recorded) {
            let path = path.display();
            context
                .console
                .warn(format!("--seeds is {seeds}, but {path} has {recorded} seed(s); these are replayed"));
        }
        let compared = replay(&recording, policies, u64::from(args.seeds.unwrap_or(SEEDS)))?;
        all.push((recording.task, path, compared));
    }
    let tasks: Vec<String> = all.iter().map(|(task, ..)| task.clone()).collect();
    // Tasks are named after directories, which may have one name.
    let named = all.into_iter().map(|(task, path, compared)| {
        let alone = tasks.iter().filter(|other| **other == task).count() == 1;
        (if alone { task } else { format!("{task} ({})", path.display()) }, compared)
    });
    if context.common.json {
        output::json(&named.collect::<BTreeMap<_, _>>())?;
    } else {
        for (task, compared) in named {
            let described = describe(&compared, "the recording does not contain the full grid");
            output::text(format!("{task}\n\n{described}\n"))?;
        }
    }
    Ok(Exit::Done)
}

/// The tables, and why the best of the grid is not known where it is not.
fn describe(compared: &Comparison, unknown: &str) -> String {
    let Comparison { table, base_test_perplexity, .. } = compared;
    let percent =
        |value: Option<f64>| value.map_or_else(|| "-".into(), |value| format!("{:.2} %", 100.0 * value));
    let rows = table.rows.iter().map(|row| {
        vec![
            row.policy.clone(),
            row.seed.to_string(),
            row.ranks.to_string(),
            number(Some(row.test_perplexity)),
            percent(row.regret),
            number(row.fine_tunes),
            format!("{:.1}", row.wall_s),
        ]
    });
    let header = ["policy", "seed", "ranks", "test perplexity", "regret", "fine-tunes", "training s"];
    let rows = output::table(&header, rows);
    let means = table.policies.iter().map(|policy| {
        vec![
            policy.policy.clone(),
            policy.seeds.to_string(),
            number(policy.perplexity),
            number(policy.perplexity_sd),
            percent(policy.regret),
            percent(policy.regret_sd),
            number(policy.fine_tunes),
            policy.wall_s.map_or_else(|| "-".into(), |seconds| format!("{seconds:.1}")),
        ]
    });
    let header = ["policy", "seeds", "perplexity", "sd", "regret", "sd", "fine-tunes", "training s"];
    let means = output::table(&header, means);
    let best = match &table.best {
        Some(best) => format!(
            "best of the grid: {} with a mean test perplexity of {:.4} over {} seeds (sd {})",
            best.ranks,
            best.perplexity,
            best.seeds,
            number(best.sd)
        ),
        None => format!("no regret: {unknown}"),
    };
    format!("{rows}\n\n{means}\n\n{best}\nbase model without adapter: {base_test_perplexity:.4}")
}
