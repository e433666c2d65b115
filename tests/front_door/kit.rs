//! A small search on planted laws, and what it reports.

use mars::mars_calib::ConvergenceDefinition;
use mars::{
    SearchConfig,
    event::{Event, Observer},
};
use mars_search::{Budget, Space};

pub(crate) const SAMPLES: usize = 1024;

/// A configuration whose calibration runs are long enough for the planted convergence times.
pub(crate) fn config(policy: &str) -> SearchConfig {
    let mut config = SearchConfig::default();
    config.search.policy = policy.parse().unwrap();
    config.train.steps = Some(200);
    config.train.eval_every = Some(10);
    config.calibration.steps = Some(200);
    config.calibration.eval_every = Some(5);
    config.calibration.rule = ConvergenceDefinition::AloneVal;
    config.resolved(SAMPLES, 64)
}

pub(crate) fn space_and_budget(config: &SearchConfig) -> (Space, Budget) {
    (config.space([("ve".to_owned(), 700), ("llm".to_owned(), 1000)].into()), config.budget(SAMPLES, 0))
}

/// Keeps what a search reports.
#[derive(Default)]
pub(crate) struct Log {
    pub(crate) rounds: Vec<(usize, usize)>,
    pub(crate) decided: usize,
    pub(crate) runs: usize,
    /// (done, expected) of the whole search, in order.
    pub(crate) progress: Vec<(u64, u64)>,
}

impl Observer for Log {
    fn event(&mut self, event: &Event<'_>) {
        match event {
            Event::Round(round) => self.rounds.push((round.trials.len(), round.recorded)),
            Event::Decided(_) => self.decided += 1,
            Event::Run(_) => self.runs += 1,
            Event::Progress(progress) => {
                self.progress.push((progress.search_done, progress.search_expected));
            }
            _ => {}
        }
    }
}
