//! Shows the progress of runs, and stops them when the user asks to.

use crate::{
    console::{Console, Stage},
    interrupt::Interrupt,
};
use mars_calib::{Flow, Observer, Progress, RunId, RunRecord, trainer};
use std::collections::BTreeMap;

/// Watches the runs of one round.
pub(crate) struct Watch<'a> {
    console: Console,
    stage: Stage,
    interrupt: &'a Interrupt,
    /// For each run: the step it starts at, and the step it has reached.
    reached: BTreeMap<RunId, (usize, usize)>,
    note: String,
}

impl<'a> Watch<'a> {
    /// Watches runs given as (id, step they start at, steps).
    pub(crate) fn new(
        console: Console,
        label: &str,
        runs: Vec<(RunId, usize, usize)>,
        interrupt: &'a Interrupt,
    ) -> Self {
        let total = runs.iter().map(|(_, start, steps)| (steps - start.min(steps)) as u64).sum();
        let stage = console.stage(label, "steps", total);
        let reached = runs.into_iter().map(|(id, start, _)| (id, (start, start))).collect();
        Self { console, stage, interrupt, reached, note: String::new() }
    }

    /// Takes the progress away from the screen.
    pub(crate) fn finish(self) {
        self.stage.finish();
    }

    fn flow(&self) -> Flow {
        if self.interrupt.requested() { Flow::Stop } else { Flow::Continue }
    }
}

impl Observer for Watch<'_> {
    fn progress(&mut self, event: &Progress) -> Flow {
        if let Some((start, at)) = self.reached.get_mut(&event.run) {
            *at = event.step.max(*start);
        }
        if let (trainer::Stage::Evaluate, Some(loss)) = (event.stage, event.loss) {
            self.note = format!("validation loss {loss:.4}");
        }
        let done = self.reached.values().map(|(start, at)| (at - start) as u64).sum();
        self.stage.at(done, &self.note);
        self.flow()
    }

    fn finished(&mut self, record: &RunRecord) -> Flow {
        let loss = record
            .val
            .last()
            .map_or_else(String::new, |point| format!(", validation loss {:.4}", point.loss));
        let spec = &record.spec;
        self.console.detail(format!(
            "run {}: {} on {} samples, seed {}: {}{loss}",
            record.id, spec.ranks, spec.samples, spec.seed, record.end
        ));
        self.flow()
    }
}
