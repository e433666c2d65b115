//! `mars calibrate`: the calibration runs that are not done yet.

use crate::{
    args,
    cmd::{Context, set, set_path},
    exit::Exit,
    output,
};
use mars::{Error, quantity::number, search::CalibratedRun};

pub(crate) fn run(context: &Context, args: &args::Calibrate) -> Result<Exit, Error> {
    let mut layers = match &args.place.out {
        Some(directory) => context.layers_of(directory, &args.task)?,
        None => context.layers(&args.task)?,
    };
    set_path(&mut layers, "out.dir", &args.place.out)?;
    set(&mut layers, "search.policy", &args.policy)?;
    let config = layers.config()?;
    let task = context.open(&config)?;
    let mut reporter = context.reporter();
    let search = context.search(&config, &args.place, &mut reporter)?;
    let runs = search.calibrate(&task, &config.out.dir, args.index, args.at_once)?;
    if context.common.json {
        output::json(&serde_json::json!({ "runs": runs }))?;
    } else {
        output::text(describe(&runs))?;
    }
    let failed = runs.iter().filter(|run| run.failed).count();
    if failed > 0 {
        return Err(Error::failed(format!("{failed} of {} runs failed", runs.len())));
    }
    Ok(Exit::Done)
}

fn describe(runs: &[CalibratedRun]) -> String {
    let rows = runs.iter().map(|run| {
        let time = run.convergence.map(|steps| format!("{steps:.1} steps"));
        vec![
            run.index.to_string(),
            run.ranks.to_string(),
            run.samples.to_string(),
            run.seed.to_string(),
            number(run.loss),
            time.or_else(|| run.censored.clone()).unwrap_or_else(|| "-".into()),
            run.end.clone(),
        ]
    });
    output::table(&["run", "ranks", "samples", "seed", "loss", "converged after", "end"], rows)
}
