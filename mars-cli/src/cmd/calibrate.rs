//! `mars calibrate`: the calibration runs that are not done yet.

use crate::{
    args,
    cluster::{self, index::Index},
    cmd::{Context, search::samples, set, set_path, set_seed},
    exit::Exit,
    output,
};
use mars::{
    Error, ErrorKind,
    config::{OutConfig, TrainerKind},
    mars_calib::Settings,
    quantity::number,
    search::CalibratedRun,
};

pub(crate) fn run(context: &Context, args: &args::Calibrate) -> Result<Exit, Error> {
    let mut layers = context.layers(&args.task)?;
    set_path(&mut layers, "out.dir", &args.place.out)?;
    set(&mut layers, "search.policy", &args.policy)?;
    set_seed(&mut layers, args.seed)?;
    context.keep(&layers);
    // Wherever the directory was set, a campaign in it is gone on with.
    let directory = layers.directory();
    OutConfig { dir: directory.clone(), ..OutConfig::default() }.check_dir()?;
    if let Some(settings) = Settings::read(&directory)? {
        layers = layers.over_campaign(&settings)?;
    }
    context.keep(&layers);
    let config = layers.config()?;
    let index = index(context, args)?;
    let mut reporter = context.reporter();
    let runs = match config.trainer.kind {
        TrainerKind::Native => {
            let task = context.open(&config)?;
            let search = context.search(&config, &args.place, &mut reporter);
            search.calibrate(&task, &config.out.dir, index, args.at_once)
        }
        TrainerKind::Command => {
            let samples = samples(&config)?;
            let search = context.search(&config, &args.place, &mut reporter);
            search.calibrate_command(samples, &config.out.dir, index, args.at_once)
        }
    };
    let alone = index.is_none() && args.at_once.is_none();
    let runs = runs.inspect_err(|error| {
        if alone && error.kind() == ErrorKind::Locked {
            context.console.say("to share the runs between processes, use --at-once");
        }
    })?;
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

/// The run to do: as given, or as the job array says of which this is a task.
fn index(context: &Context, args: &args::Calibrate) -> Result<Option<usize>, Error> {
    if args.index.is_some() || args.at_once.is_some() {
        return Ok(args.index);
    }
    let variable = |name: &str| std::env::var_os(name).map(|text| text.to_string_lossy().into_owned());
    let given = cluster::index::given(variable)?;
    if let Some(Index { value, variable }) = given {
        context.console.say(format!(
            "training only run {value} (from {variable}); use --at-once N to take any free runs, N at a time"
        ));
    }
    Ok(given.map(|index| index.value))
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
