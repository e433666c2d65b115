//! The events of a search as the user sees them: bars on a terminal, lines in a log.

use crate::console::{Console, Stage};
use mars::{
    event::{Event, Observer, Progress, Round},
    mars_calib::RunRecord,
    mars_search::{Decision, Role, Trial},
};
use std::{collections::BTreeMap, time::Instant};

/// Shows what a task or a search reports.
pub(crate) struct Reporter {
    console: Console,
    stage: Option<Stage>,
    /// When the first step was trained, and the steps of the whole search done by then.
    started: Option<(Instant, u64)>,
}

impl Reporter {
    pub(crate) fn new(console: Console) -> Self {
        Self { console, stage: None, started: None }
    }

    fn round(&mut self, round: &Round<'_>) {
        let Round { trials, recorded, steps, .. } = *round;
        let label = label(trials);
        if recorded > 0 {
            self.console.say(format!("{label}: {recorded} of {} runs are done already", trials.len()));
        }
        if recorded < trials.len() && competes(trials) {
            let until = trials.iter().map(|trial| trial.steps).max().unwrap_or(0);
            let ranks = if trials.len() > 1 { format!(": {}", list(trials)) } else { String::new() };
            self.console.log(format!("{label} up to step {until}{ranks}"));
        }
        self.finish();
        self.stage = Some(self.console.stage(&label, "steps", steps));
    }

    fn progress(&mut self, progress: &Progress) {
        let (from, before) = *self.started.get_or_insert((Instant::now(), progress.search_done));
        let Some(stage) = &self.stage else { return };
        stage.set_total(progress.total);
        let mut note = progress.loss.map_or_else(String::new, |loss| format!("validation loss {loss:.4}"));
        // The whole search, where it is more than this round.
        let done = progress.search_done.saturating_sub(before);
        let all = progress.search_expected.saturating_sub(before);
        let after_round = all.saturating_sub(done) > progress.total.saturating_sub(progress.done);
        if done > 0 && after_round {
            let left = from.elapsed().as_secs_f64() * (all - done) as f64 / done as f64;
            let separator = if note.is_empty() { "" } else { ", " };
            note += &format!("{separator}search about {} left", mars::quantity::duration(left));
        }
        stage.at(progress.done, &note);
    }

    fn run(&self, record: &RunRecord) {
        let loss = record.val.last();
        let loss = loss.map_or_else(String::new, |point| format!(", validation loss {:.4}", point.loss));
        let spec = &record.spec;
        self.console.detail(format!(
            "run {}: {} on {} samples, seed {}: {}{loss}",
            record.id, spec.ranks, spec.samples, spec.seed, record.end
        ));
    }

    /// Ends the stage that is shown, if there is one.
    pub(crate) fn finish(&mut self) {
        if let Some(stage) = self.stage.take() {
            stage.finish();
        }
    }

    /// Ends the stage that is shown before all of it is done.
    fn stop(&mut self) {
        if let Some(stage) = self.stage.take() {
            stage.stop();
        }
    }
}

impl Observer for Reporter {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Warning(warning) => self.console.warn(warning),
            Event::Detail(detail) => self.console.detail(detail),
            Event::Samples { train, val, test } => self
                .console
                .say(format!("reading {train} training, {val} validation and {test} test samples")),
            Event::Comparing { policy, seed } => {
                self.started = None;
                self.console.say(format!("policy {policy}, seed {seed}"));
            }
            Event::Round(round) => self.round(round),
            Event::Progress(progress) => self.progress(progress),
            Event::Run(record) => self.run(record),
            Event::RoundDone => self.finish(),
            Event::RoundStopped => self.stop(),
            Event::Decided(decision) => {
                for (step, ranks) in dropped(decision) {
                    self.console.say(format!("dropped at step {step}: {}", ranks.join("  ")));
                }
                self.console.say(format!("chosen: {} ({})", decision.ranks, decision.outcome));
            }
            Event::TrainingAgain(id) => {
                self.started = None;
                self.console.say(format!("the checkpoint of run {id} is gone: training it again"));
                self.stage = Some(self.console.stage("training again", "steps", 0));
            }
            Event::Evaluating { label, done, total } => {
                let console = self.console;
                let stage = self.stage.get_or_insert_with(|| console.stage(label, "samples", *total as u64));
                stage.at(*done as u64, "");
                if done == total {
                    self.finish();
                }
            }
            Event::Testing => {
                self.finish();
                self.console.say("evaluating on the test split");
            }
            _ => {}
        }
    }
}

/// Candidates that did not get to the end, by the step at which they were dropped or failed.
fn dropped(decision: &Decision) -> BTreeMap<usize, Vec<String>> {
    let mut all: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for candidate in &decision.candidates {
        if let Some(step) = candidate.dropped_at {
            all.entry(step).or_default().push(candidate.ranks.to_string());
        }
    }
    all
}

fn list(trials: &[Trial]) -> String {
    trials.iter().map(|trial| trial.ranks.to_string()).collect::<Vec<_>>().join("  ")
}

/// Whether these trials compete to become the final run.
fn competes(trials: &[Trial]) -> bool {
    trials.iter().any(|trial| matches!(trial.role, Role::Race | Role::Final))
}

fn label(trials: &[Trial]) -> String {
    let any = |role| trials.iter().any(|trial| trial.role == role);
    let (name, count) = match trials {
        [] => return "no runs".into(),
        _ if any(Role::Final) => return "fine-tuning".into(),
        [only] if only.continues.is_some() => return format!("continuing {}", only.ranks),
        [only] => return format!("training {}", only.ranks),
        _ if any(Role::Race) => ("racing", trials.len()),
        _ => ("calibrating", trials.len()),
    };
    format!("{name} ({count} runs)")
}
