//! Does the trials of a policy as runs of a campaign: looks up what is recorded, trains the rest.

use super::{RunTemplate, result::trial_result};
use crate::{
    Error, Interrupt,
    event::{self, Event, Observer},
};
use mars_calib::{
    Campaign, ConvergenceRule, Flow, Keep, Observer as RunObserver, Progress, RunEnd, RunId, RunRecord,
    RunSpec, Stage, Trainer,
};
use mars_search::{Answer, Runner, Trial};
use std::collections::BTreeMap;

/// A [`Runner`] that trains.
pub(crate) struct CampaignRunner<'a> {
    pub(crate) campaign: &'a mut Campaign,
    pub(crate) trainer: &'a mut dyn Trainer,
    pub(crate) template: &'a RunTemplate,
    pub(crate) rule: &'a dyn ConvergenceRule,
    pub(crate) keep: Keep,
    pub(crate) observer: &'a mut dyn Observer,
    pub(crate) interrupt: &'a Interrupt,
    /// Whether the policy is [asynchronous](mars_search::PolicySpec::is_asynchronous).
    pub(crate) asynchronous: bool,
    /// The record of each trial so far.
    pub(crate) records: BTreeMap<u32, RunRecord>,
    /// Optimizer steps of the whole search: expected in all, and done or looked up so far.
    pub(crate) expected: u64,
    pub(crate) done: u64,
}

impl CampaignRunner<'_> {
    /// Does `trials`, and returns their records.
    pub(crate) fn round(&mut self, trials: &[Trial]) -> Result<Vec<RunRecord>, Error> {
        let fingerprint = self.campaign.settings().fingerprint();
        let specs: Vec<RunSpec> =
            trials.iter().map(|trial| self.template.spec(trial, &self.records, &fingerprint)).collect();
        let known = self.campaign.records();
        let cut =
            specs.iter().filter_map(|spec| known.get(&spec.id())).find(|run| run.end == RunEnd::Overfit);
        if let Some(run) = cut.filter(|_| self.keep == Keep::Last) {
            return Err(Error::usage(format!(
                "train.keep is \"last\", but run {} ended at step {} of {}, since it over-fitted, under train.keep = \"best\"; set that, or \
                 use another directory",
                run.id,
                run.val.last().map_or(0, |point| point.step),
                run.spec.steps
            )));
        }
        let missing: Vec<&RunSpec> = specs.iter().filter(|spec| !known.contains_key(&spec.id())).collect();
        let continues = self.trainer.continues();
        let start = |spec: &RunSpec| {
            if !continues {
                return 0;
            }
            let before = spec.continues.as_ref().and_then(|id| known.get(id));
            before.map_or(0, |record| record.spec.steps).min(spec.steps)
        };
        let reached: BTreeMap<RunId, Reached> = missing
            .iter()
            .map(|spec| (spec.id(), Reached { start: start(spec), step: start(spec), end: spec.steps }))
            .collect();
        let total = reached.values().map(Reached::length).sum();
        let all: u64 = specs.iter().map(|spec| (spec.steps - start(spec)) as u64).sum();
        let recorded = specs.len() - missing.len();
        self.observer.event(&Event::Round(event::Round { trials, recorded, steps: total }));
        // What is recorded costs nothing in this call.
        self.expected = self.expected.saturating_sub(all - total);
        // What was foreseen beyond that will not come.
        let last = !self.asynchronous && is_last(trials);
        let expected = if last { self.done + total } else { self.expected };
        let mut watch = Watch {
            observer: &mut *self.observer,
            interrupt: self.interrupt,
            reached,
            total,
            before: self.done,
            expected,
            loss: None,
        };
        let records = self.campaign.run(self.trainer, &specs, &mut watch);
        let ended = |records: &Vec<RunRecord>| records.iter().all(|record| record.end != RunEnd::Interrupted);
        let done = records.as_ref().is_ok_and(ended);
        self.observer.event(if done { &Event::RoundDone } else { &Event::RoundStopped });
        self.done += total;
        let records = records?;
        if done { Ok(records) } else { Err(Error::interrupted()) }
    }
}

/// Whether these trials end a search, if one of them is not lost: all of them go on to the end of the final run. A policy that
/// is asynchronous may ask for others all the same.
fn is_last(trials: &[Trial]) -> bool {
    let ends = |trial: &Trial| !trial.role.is_calibration() && trial.steps == trial.horizon;
    !trials.is_empty() && trials.iter().all(ends)
}

impl Runner for CampaignRunner<'_> {
    type Error = Error;

    fn run(&mut self, trials: &[Trial]) -> Result<Answer, Error> {
        let done = self.round(trials)?;
        let charged = if self.trainer.continues() { &self.records } else { &BTreeMap::new() };
        let results = trials
            .iter()
            .zip(&done)
            .map(|(trial, record)| trial_result(self.rule, trial, record, self.keep, charged))
            .collect();
        self.records.extend(trials.iter().map(|trial| trial.id).zip(done));
        Ok(Answer::Results(results))
    }
}

/// How far a run is, in optimizer steps.
struct Reached {
    start: usize,
    step: usize,
    end: usize,
}

impl Reached {
    fn length(&self) -> u64 {
        (self.end - self.start) as u64
    }
}

/// Turns what a trainer reports into events, and stops it on request.
struct Watch<'a> {
    observer: &'a mut dyn Observer,
    interrupt: &'a Interrupt,
    reached: BTreeMap<RunId, Reached>,
    total: u64,
    /// Steps of the search done before this round.
    before: u64,
    expected: u64,
    loss: Option<f64>,
}

impl RunObserver for Watch<'_> {
    fn progress(&mut self, event: &Progress) -> Flow {
        if let Some(reached) = self.reached.get_mut(&event.run) {
            reached.step = event.step.clamp(reached.start, reached.end);
        }
        if event.stage == Stage::Evaluate {
            self.loss = event.loss;
        }
        let done = self.reached.values().map(|reached| (reached.step - reached.start) as u64).sum();
        let search_done = self.before + done;
        let progress = event::Progress {
            done,
            total: self.total,
            search_done,
            search_expected: self.expected.max(self.before + self.total),
            loss: self.loss,
        };
        self.observer.event(&Event::Progress(progress));
        self.interrupt.flow()
    }

    fn go_on(&mut self) -> Flow {
        self.interrupt.flow()
    }

    fn finished(&mut self, record: &RunRecord) -> Flow {
        self.observer.event(&Event::Run(record));
        self.interrupt.flow()
    }
}
