//! `mars slurm`: scripts for sbatch, and their submission.

use crate::{
    args::Common,
    cluster::{
        Invocation,
        args::Slurm,
        sbatch::{Array, Scripts},
        shell,
    },
    cmd::{Context, arithmetic, job_config, must_have_campaign, planned_runs},
    exit::Exit,
    output,
};
use mars::{
    Error, SearchConfig,
    config::TrainerKind,
    mars_lora::files,
    search::{Stage, StatusRun, StatusState, status},
};
use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A script on disk.
struct Script {
    path: PathBuf,
    array: Option<String>,
    job: Option<String>,
}

pub(crate) fn run(context: &Context, args: &Slurm) -> Result<Exit, Error> {
    let config = job_config(context, &args.job)?;
    config.out.check_dir()?;
    let runs: Vec<usize> = if args.pending {
        must_have_campaign(&config.out.dir)?;
        let status = status(&config.out.dir)?;
        if status.stage == Stage::Done {
            return report(&context.common, &[], "nothing is left to do: the search is done");
        }
        if let Some(why) = &status.failure {
            return report(&context.common, &[], &format!("nothing is submitted: {why}"));
        }
        if let (true, Some(holder)) = (status.exclusive, &status.holder) {
            let why = format!("nothing is submitted: {holder} does all that is left");
            return report(&context.common, &[], &why);
        }
        check_policy(&status.policy, &config)?;
        let runs = status.runs.iter().filter(|run| run.index.is_some());
        let (pending, others): (Vec<_>, Vec<_>) = runs.partition(|run| is_pending(&run.state));
        if let (true, Some(why)) = (pending.is_empty(), under_way(&others)) {
            return report(&context.common, &[], &why);
        }
        pending.into_iter().filter_map(|run| run.index).collect()
    } else if args.workers.is_some() && config.trainer.kind == TrainerKind::Native {
        // Workers take what there is: model and data are not opened to count it.
        if config.may_calibrate() { vec![0] } else { Vec::new() }
    } else {
        (0..planned_runs(context, &config)?).collect()
    };
    let array = match args.workers {
        // A policy without a calibration has no runs to share.
        _ if runs.is_empty() => None,
        Some(workers) => {
            let one_pass = match config.trainer.kind {
                TrainerKind::Native => config.native_options()?.stack,
                TrainerKind::Command => 1,
            };
            Some(Array::Workers(workers.get(), args.at_once.map_or(one_pass, usize::from)))
        }
        None => Some(Array::Runs(runs, args.limit.map(usize::from))),
    };
    let mut scripts = write(context, args, &config, array.as_ref())?;
    if args.submit {
        submit(&mut scripts)?;
    }
    report(&context.common, &scripts, "")
}

/// Refuses another policy than that of the campaign, whose runs have the numbers that are pending.
fn check_policy(of_campaign: &str, config: &SearchConfig) -> Result<(), Error> {
    let own = config.search.policy.to_string();
    if own == of_campaign {
        return Ok(());
    }
    Err(Error::usage(format!(
        "--pending: the runs of the campaign in {} are numbered by the policy {of_campaign}, but search.policy is {own}; give --policy \
         {of_campaign}",
        config.out.dir.display()
    )))
}

/// Whether nothing that lives trains a run that has no result.
fn is_pending(state: &StatusState) -> bool {
    match state {
        StatusState::Done { .. } => false,
        StatusState::Running { gone, heartbeat_s, .. } => {
            *gone || heartbeat_s.is_some_and(|silence| silence > SILENT)
        }
        _ => true,
    }
}

/// Why a search would begin too early: which processes train what it waits for. `None` where there is none.
fn under_way(runs: &[&StatusRun]) -> Option<String> {
    let holders = runs.iter().filter_map(|run| match &run.state {
        StatusState::Running { holder, .. } => Some(holder.as_str()),
        _ => None,
    });
    let holders: Vec<&str> = holders.collect();
    let names: BTreeSet<&str> = holders.iter().copied().collect();
    let names: Vec<&str> = names.into_iter().collect();
    let are = match holders.len() {
        0 => return None,
        1 => "1 run is".to_owned(),
        count => format!("{count} runs are"),
    };
    Some(format!(
        "nothing is submitted: {are} being trained by {}, and no other is left; call this again when that has ended",
        names.join(", ")
    ))
}

/// A holder that is silent for so many seconds is replaced, see [`mars::mars_calib::campaign::Pace`].
const SILENT: f64 = 90.0;

/// Writes the scripts: that of the calibration, unless it has no runs, and that of the search.
fn write(
    context: &Context,
    args: &Slurm,
    config: &SearchConfig,
    array: Option<&Array>,
) -> Result<Vec<Script>, Error> {
    let here = env::current_dir().map_err(Error::io("find", Path::new(".")))?;
    let program = env::current_exe().map_err(Error::io("find", Path::new("mars")))?;
    let place = args.scripts.clone().unwrap_or_else(|| config.out.dir.join("slurm"));
    let place = here.join(place);
    config.out.check_dir()?;
    let compute = arithmetic::of_jobs(config, Some(&config.out.dir))?;
    let invocation = Invocation::of(&context.common, &args.job, &config.search.policy, compute)?;
    let scripts = Scripts {
        program: &program,
        directory: &here,
        logs: &place,
        invocation: &invocation,
        options: &args.sbatch,
        warn: args.warn,
    };
    let mut all = Vec::new();
    if let Some(array) = array {
        all.push(("calibrate.sbatch", scripts.calibrate(array)?, Some(array.ids())));
    }
    all.push(("search.sbatch", scripts.search()?, None));
    files::create_directories(&place).map_err(Error::io("create the directory", &place))?;
    let written = all.into_iter().map(|(name, text, array)| {
        let path = place.join(name);
        files::write(&path, text.as_bytes()).map_err(Error::io("write", &path))?;
        Ok(Script { path, array, job: None })
    });
    written.collect()
}

/// Hands the scripts to sbatch, each to begin when the one before has ended, however it did.
fn submit(scripts: &mut [Script]) -> Result<(), Error> {
    let mut before: Option<(PathBuf, String)> = None;
    for script in scripts {
        let mut sbatch = Command::new("sbatch");
        sbatch.arg("--parsable");
        if let Some((_, job)) = &before {
            sbatch.arg(format!("--dependency=afterany:{job}"));
        }
        // What is queued already stays so.
        let queued = before.as_ref().map_or_else(String::new, |(path, job)| {
            format!("; {} is submitted already, as job {job} (scancel {job})", path.display())
        });
        let output = sbatch.arg(&script.path).stdin(Stdio::null()).output().map_err(|error| {
            let why = "cannot run sbatch; run this on a machine with Slurm, or submit the scripts yourself";
            Error::failed(format!("{why}: {}{queued}", script.path.display())).because(error)
        })?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        if !output.status.success() {
            let why = said(&output.stderr);
            return Err(Error::failed(format!("sbatch refuses {}: {why}{queued}", script.path.display())));
        }
        // The id, and after a semicolon the cluster, where there are several.
        let id = said(&output.stdout).split(';').next().unwrap_or_default().to_owned();
        script.job = Some(id.clone());
        before = Some((script.path.clone(), id));
    }
    Ok(())
}

/// What was written and submitted; `otherwise` says why that is nothing.
fn report(common: &Common, scripts: &[Script], otherwise: &str) -> Result<Exit, Error> {
    if common.json {
        let all: Vec<_> = scripts
            .iter()
            .map(|one| serde_json::json!({ "script": one.path, "array": one.array, "job": one.job }))
            .collect();
        output::json(&serde_json::json!({ "jobs": all }))?;
    } else {
        output::text(if scripts.is_empty() { otherwise.to_owned() } else { describe(scripts) })?;
    }
    Ok(Exit::Done)
}

fn describe(scripts: &[Script]) -> String {
    let submitted = scripts.iter().all(|script| script.job.is_some());
    let mut lines: Vec<String> = Vec::new();
    for script in scripts {
        let array = script.array.as_ref().map_or_else(String::new, |array| format!(", runs {array}"));
        let job = script.job.as_ref().map_or_else(String::new, |job| format!(", submitted as job {job}"));
        lines.push(format!("{}{array}{job}", script.path.display()));
    }
    if !submitted {
        lines.push("to submit them: the same call with --submit, or".to_owned());
        let path = |script: &Script| shell::path(&script.path);
        lines.extend(match scripts {
            [calibrate, search] => vec![
                format!("  id=$(sbatch --parsable {})", path(calibrate)),
                format!("  sbatch --dependency=afterany:\"${{id%%;*}}\" {}", path(search)),
            ],
            _ => scripts.iter().map(|script| format!("  sbatch {}", path(script))).collect(),
        });
    }
    lines.join("\n")
}
