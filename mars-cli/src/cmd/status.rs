//! `mars status`: how far a search is.

use crate::{
    cluster::args,
    cmd::{Context, must_have_campaign},
    exit::Exit,
    output,
};
use mars::{
    Error,
    quantity::{duration, flops},
    search::{Left, Stage, Status, StatusRun, StatusState, status},
};
use std::{thread, time::Duration};

pub(crate) fn run(context: &Context, args: &args::Status) -> Result<Exit, Error> {
    must_have_campaign(&args.dir)?;
    let mut shown = None;
    loop {
        let now = status(&args.dir)?;
        let essence = essence(&now);
        if shown.as_ref() != Some(&essence) {
            if shown.is_none() {
                now.warnings.iter().for_each(|warning| context.console.warn(warning));
            } else if !context.common.json {
                output::text("")?;
            }
            if context.common.json {
                output::json(&now)?
            } else {
                output::text(describe(&now))?
            }
            shown = Some(essence);
        }
        match args.watch {
            Some(seconds) if !is_over(now.stage) => thread::sleep(Duration::from_secs(seconds)),
            _ => return Ok(Exit::Done),
        }
    }
}

/// Whether no further call changes what was found.
fn is_over(stage: Stage) -> bool {
    matches!(stage, Stage::Done | Stage::Failed)
}

/// What has to change for a status to be shown again: who does what, and not how long ago anything was.
fn essence(status: &Status) -> Vec<String> {
    let run = |run: &StatusRun| match &run.state {
        StatusState::Running { holder, gone, .. } => format!("{} {holder} {gone}", run.id),
        state => format!("{} {state:?}", run.id),
    };
    std::iter::once(format!("{:?} {:?} {}", status.stage, status.holder, status.others))
        .chain(status.runs.iter().map(run))
        .collect()
}

fn describe(status: &Status) -> String {
    let count = |of: fn(&StatusState) -> bool| status.runs.iter().filter(|run| of(&run.state)).count();
    let done = count(|state| matches!(state, StatusState::Done { .. }));
    let running = count(|state| matches!(state, StatusState::Running { .. }));
    let waiting = count(|state| matches!(state, StatusState::Waiting));
    let failed = count(|state| matches!(state, StatusState::Failed { .. }));
    let stage = match status.stage {
        Stage::Calibration => "calibration",
        Stage::Race => "race and final run",
        Stage::Decided => "all runs are done, the result is not written yet",
        Stage::Done => "done",
        Stage::Failed => "failed",
        _ => "unknown",
    };
    let mut lines = vec![
        format!("search    {stage}; policy {}", status.policy),
        format!("runs      {done} done, {running} running, {waiting} waiting, {failed} failed"),
    ];
    if let Some(why) = &status.failure {
        lines.push(format!("why       {why}"));
    }
    if status.others > 0 {
        lines.push(format!("          and {} finished runs of other policies or settings", status.others));
    }
    if let (Some(holder), true) = (&status.holder, running == 0 && !is_over(status.stage)) {
        lines.push(format!("holder    {holder} (if still running)"));
    }
    if let Some(written) = status.written_s {
        lines.push(format!("written   {} ago", duration(written)));
    }
    if !is_over(status.stage) {
        lines.push(format!("left      {}", left(&status.left)));
    }
    let rows = status.runs.iter().map(|run| {
        vec![
            run.index.map_or_else(|| "-".to_owned(), |index| index.to_string()),
            run.role.to_string(),
            run.ranks.to_string(),
            run.samples.to_string(),
            run.seed.to_string(),
            run.steps.to_string(),
            state(&run.state),
        ]
    });
    lines.push(String::new());
    lines.push(output::table(&["run", "for", "ranks", "samples", "seed", "steps", "state"], rows));
    lines.join("\n")
}

fn left(left: &Left) -> String {
    let steps = |steps: u64| format!("{steps} steps");
    let time = |wall: Option<f64>| wall.map_or_else(String::new, |wall| format!(" ({})", duration(wall)));
    let mut text = format!("{}{} of the requested runs", steps(left.steps), time(left.wall_s));
    if left.later_steps > 0 {
        text += &format!(
            ", then about {}{}, depending on their results",
            steps(left.later_steps),
            time(left.later_wall_s)
        );
    }
    if let Some(value) = left.flops {
        text += &format!("; {} in total", flops(value));
    }
    if let (Some(wall), 2..) = (left.wall_s, left.processes) {
        let processes = left.processes;
        text += &format!("; with {processes} processes about {}", duration(wall / processes as f64));
    }
    text
}

fn state(state: &StatusState) -> String {
    match state {
        StatusState::Done { wall_s, diverged: None } => format!("done in {}", duration(*wall_s)),
        StatusState::Done { diverged: Some(step), .. } => format!("done, diverged at step {step}"),
        StatusState::Running { holder, gone: true, .. } => {
            format!("{holder} ended without a result; the next process takes over the run")
        }
        StatusState::Running { holder, heartbeat_s, .. } => {
            let age =
                heartbeat_s.map_or_else(String::new, |age| format!(", heartbeat {} ago", duration(age)));
            format!("running, {holder}{age}")
        }
        StatusState::Waiting => "waiting".to_owned(),
        StatusState::Failed { why } => format!("failed: {why}"),
        _ => "unknown".to_owned(),
    }
}
