//! A runner that looks up what a campaign has measured, and trains nothing.

use super::{RunTemplate, result::trial_result};
use crate::config::SearchConfig;
use mars_calib::{
    CheckpointStore, ConvergenceRule, DirectoryCheckpoints, Keep, RunId, RunRecord, campaign::Snapshot,
};
use mars_search::{Answer, Runner, Trial, TrialResult};
use std::{collections::BTreeMap, path::Path};

/// A trial that was asked for.
pub(super) struct Asked {
    pub(super) trial: Trial,
    /// The run that does it.
    pub(super) id: RunId,
    /// Its result, if there is one.
    pub(super) result: Option<TrialResult>,
    /// The step of the latest checkpoint of a run without a result, 0 without one.
    pub(super) checkpoint: usize,
}

/// Answers from a snapshot.
pub(super) struct SnapshotRunner<'a> {
    snapshot: &'a Snapshot,
    template: RunTemplate,
    rule: Box<dyn ConvergenceRule>,
    keep: Keep,
    fingerprint: String,
    checkpoints: DirectoryCheckpoints,
    records: BTreeMap<u32, RunRecord>,
    /// Whether the trainer of the campaign continues runs from checkpoints.
    pub(super) continues: bool,
    /// Every trial that was asked for, in order.
    pub(super) asked: Vec<Asked>,
}

impl<'a> SnapshotRunner<'a> {
    /// The runner of a snapshot of the campaign in `directory`, with its configuration.
    pub(super) fn new(directory: &Path, snapshot: &'a Snapshot, config: &SearchConfig) -> Self {
        Self {
            snapshot,
            template: config.run_template(),
            rule: config.rule(),
            keep: config.keep(),
            fingerprint: snapshot.settings.fingerprint(),
            checkpoints: DirectoryCheckpoints::new(directory.join("checkpoints")),
            records: BTreeMap::new(),
            continues: config.trainer.command_options().is_none_or(|options| options.continues()),
            asked: Vec::new(),
        }
    }
}

impl Runner for SnapshotRunner<'_> {
    type Error = mars_search::Error;

    fn run(&mut self, trials: &[Trial]) -> Result<Answer, mars_search::Error> {
        let nothing = BTreeMap::new();
        let (mut done, mut found, mut missing) = (Vec::new(), Vec::new(), Vec::new());
        for trial in trials {
            let spec = self.template.spec(trial, &self.records, &self.fingerprint);
            let id = spec.id();
            let record = self.snapshot.records.get(&id);
            let charged = if self.continues { &self.records } else { &nothing };
            let result = record.map(|record| trial_result(&*self.rule, trial, record, self.keep, charged));
            match (record, &result) {
                (Some(record), Some(result)) => {
                    found.push((trial.id, record.clone()));
                    done.push(result.clone());
                }
                _ => missing.push(trial.clone()),
            }
            let checkpoint = match result {
                Some(_) => 0,
                // What cannot be read is of no use for going on either.
                None => {
                    self.checkpoints.latest_step(&spec.lineage(), trial.steps).ok().flatten().unwrap_or(0)
                }
            };
            self.asked.push(Asked { trial: trial.clone(), id, result, checkpoint });
        }
        if !missing.is_empty() {
            return Ok(Answer::Missing(missing));
        }
        self.records.extend(found);
        Ok(Answer::Results(done))
    }
}
