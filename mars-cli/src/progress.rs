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
    /// The same of this round.
    round: Option<(Instant, u64)>,
}

impl Reporter {
    pub(crate) fn new(console: Console) -> Self {
        Self { console, stage: None, started: None, round: None }
    }

    fn round(&mut self, round: &Round<'_>) {
        let Round { trials, recorded, steps, .. } = *round;
        let label = label(trials);
        if recorded > 0 {
            self.console.say(format!("{label}: {recorded} of {} runs are already done", trials.len()));
        }
        if recorded < trials.len() && competes(trials) {
            let until = trials.iter().map(|trial| trial.steps).max().unwrap_or(0);
            let ranks = if trials.len() > 1 { format!(": {}", list(trials)) } else { String::new() };
            self.console.log(format!("{label} up to step {until}{ranks}"));
        }
        self.finish();
        self.round = None;
        self.stage = Some(self.console.stage(&label, "steps", steps));
    }

    fn progress(&mut self, progress: &Progress) {
        let now = Instant::now();
        let started = *self.started.get_or_insert((now, progress.search_done));
        let began = *self.round.get_or_insert((now, progress.done));
        let Some(stage) = &self.stage else { return };
        stage.set_total(progress.total);
        let mut note = progress.loss.map_or_else(String::new, |loss| format!("validation loss {loss:.4}"));
        let round = Stretch::since(began, progress.done, progress.total);
        let search = Stretch::since(started, progress.search_done, progress.search_expected);
        // The whole search, where it is more than this round.
        if let Some(left) = search_left(&round, &search).filter(|_| search.left > round.left) {
            let separator = if note.is_empty() { "" } else { ", " };
            note += &format!("{separator}about {} left for the search", mars::quantity::duration(left));
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

/// Steps that were done in some time, and those that are left.
struct Stretch {
    seconds: f64,
    done: u64,
    left: u64,
}

impl Stretch {
    /// From a moment at which so many steps were done.
    fn since((from, before): (Instant, u64), done: u64, total: u64) -> Self {
        Self {
            seconds: from.elapsed().as_secs_f64(),
            done: done.saturating_sub(before),
            left: total.saturating_sub(done),
        }
    }

    fn seconds_per_step(&self) -> Option<f64> {
        (self.done > 0).then(|| self.seconds / self.done as f64)
    }
}

/// Seconds that the search takes on: this round at its own pace, and what follows at that of all steps so far. Runs that are
/// trained side by side have another pace than one alone.
fn search_left(round: &Stretch, search: &Stretch) -> Option<f64> {
    let pace = search.seconds_per_step()?;
    let later = search.left.saturating_sub(round.left) as f64 * pace;
    Some(round.left as f64 * round.seconds_per_step().unwrap_or(pace) + later)
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
                (self.started, self.round) = (None, None);
                self.console.say(format!("no checkpoint has the adapter of run {id}; training it again"));
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
    trials.iter().any(|trial| !trial.role.is_calibration())
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

#[cfg(test)]
mod tests {
    use super::{Stretch, search_left};

    #[test]
    fn the_rest_of_a_round_takes_as_long_as_the_round_says() {
        // 1,000 steps of stacked runs in 20 s, then 50 steps of one run in 5 s.
        let round = Stretch { seconds: 5.0, done: 50, left: 2000 };
        let search = Stretch { seconds: 25.0, done: 1050, left: 2000 };
        let close = |left: Option<f64>, seconds: f64| left.is_some_and(|left| (left - seconds).abs() < 1e-9);
        assert!(close(search_left(&round, &search), 200.0), "not at 42 steps a second");
        let more = Stretch { left: 2420, ..search };
        assert!(close(search_left(&round, &more), 210.0));
        let begun = Stretch { seconds: 0.1, done: 0, left: 2000 };
        assert!(close(search_left(&begun, &more), 2420.0 * 25.0 / 1050.0));
        assert_eq!(search_left(&begun, &Stretch { seconds: 0.1, done: 0, left: 9 }), None);
    }
}
