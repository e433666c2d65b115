//! Recorded runs of one task: what policies are compared on in seconds instead of hours.

use crate::{
    Answer, Budget, Cost, Error, GridCell, Method, Role, Runner, Space, Trial, TrialEnd, TrialResult, losses,
};
use mars_laws::{Ranks, kept_step};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The runs of one task, with what a search needs to know about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// Name of the task.
    pub task: String,
    /// The rank choices.
    pub space: Space,
    /// The final run and the calibration plan, with the first of the recorded seeds.
    pub budget: Budget,
    /// How many seeds were recorded: those of `budget` and the numbers after them.
    pub seeds: u64,
    /// Whether a run leaves the adapter of its best evaluation where that is better than the last by more than noise, rather than
    /// the last. Not told by older files: then it does if any run says that it left an earlier one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keeps_best: Option<bool>,
    /// Perplexity of the base model on the test split; infinite is `null` in files.
    #[serde(deserialize_with = "losses::perplexity")]
    pub base_perplexity: f64,
    /// The runs.
    pub runs: Vec<RecordedRun>,
}

/// One run with its validation curve, from step 0 to its last step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedRun {
    /// LoRA rank of each module; absent modules were not adapted.
    pub ranks: Ranks,
    /// Size of the training subset, in samples.
    pub samples: usize,
    /// Seed of initialisation and data order.
    pub seed: u64,
    /// Length of the learning-rate schedule in optimizer steps.
    pub horizon: usize,
    /// How the run was fine-tuned, where that is not plain LoRA.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Evaluations, by rising step.
    pub curve: Vec<RecordedPoint>,
    /// Training losses of the steps from the first on, at least to the end of the first pass over the data, in nats per answer
    /// token of the batch before its update; empty where they were not recorded, and for calibration runs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub train: Vec<f64>,
    /// Whether the run ended once its convergence time was certain: then it is the whole of whatever longer run was asked for.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// Whether the run ended once it over-fitted for certain: then it is the whole of a longer run too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub over_fitted: bool,
    /// The evaluation whose adapter was kept, and tested, where that is not the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<usize>,
    /// Convergence time in optimizer steps, where it was looked for and found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub convergence: Option<f64>,
    /// Why it was not found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub censored: Option<String>,
    /// How the run ended.
    pub end: TrialEnd,
    /// What it cost in all.
    pub cost: Cost,
    /// Perplexity of its adapter on the test split, where that was measured and finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test_perplexity: Option<f64>,
}

/// One evaluation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedPoint {
    /// Optimizer steps done.
    pub step: usize,
    /// Validation loss in nats per answer token by blocks of the split, which average to the loss; one
    /// block where the trainer reports only the mean.
    pub blocks: Vec<f64>,
}

impl RecordedPoint {
    /// The loss of the whole split.
    pub fn loss(&self) -> f64 {
        self.blocks.iter().sum::<f64>() / self.blocks.len() as f64
    }
}

impl RecordedRun {
    /// Optimizer steps of the run.
    pub fn steps(&self) -> usize {
        self.curve.last().map_or(0, |point| point.step)
    }

    /// Whether it trained on all the data under the schedule of the final run, up to its end.
    pub fn is_full(&self, budget: &Budget) -> bool {
        self.is_of(budget) && self.ends_at(budget.steps)
    }

    /// Whether its data and schedule are those of the final run.
    fn is_of(&self, budget: &Budget) -> bool {
        self.samples == budget.samples && self.horizon == budget.steps
    }

    /// Whether a run of so many steps is the whole of this one.
    fn ends_at(&self, steps: usize) -> bool {
        self.steps() == steps || self.over_fitted && self.steps() < steps
    }

    /// Whether a trial is this run or the beginning of it.
    fn holds(&self, trial: &Trial) -> bool {
        self.ranks == trial.ranks
            && self.samples == trial.samples
            && self.seed == trial.seed
            && self.horizon == trial.horizon
            && self.method == trial.method
            && match self.end {
                TrialEnd::Finished if self.stopped && self.steps() < trial.steps => trial.stop_when_converged,
                TrialEnd::Finished if self.over_fitted && self.steps() < trial.steps => true,
                TrialEnd::Finished => self.curve.iter().any(|point| point.step == trial.steps),
                _ => true,
            }
    }

    /// The evaluations up to step `steps`, those before `evaluate_from` but the first left out.
    fn seen(&self, steps: usize, evaluate_from: usize) -> impl Iterator<Item = &RecordedPoint> {
        let seen = move |step: usize| step <= steps && (step == 0 || step >= evaluate_from);
        self.curve.iter().filter(move |point| seen(point.step))
    }

    /// What the run had cost after `steps` steps with those evaluations. Steps cost alike; so do evaluations.
    fn cost_at(&self, steps: usize, evaluate_from: usize) -> Cost {
        let share = |done: usize, all: usize| done.min(all) as f64 / all.max(1) as f64;
        let evaluations = self.seen(steps, evaluate_from).count();
        let trained = share(steps, self.steps());
        Cost {
            flops: self.cost.flops * trained,
            eval_flops: self.cost.eval_flops * share(evaluations, self.curve.len()),
            wall_s: self.cost.wall_s * trained,
        }
    }
}

impl Recording {
    /// The budget with another seed, for the final run and, moved by as much, for calibration.
    pub fn budget_of(&self, seed: u64) -> Budget {
        let offset = seed.wrapping_sub(self.budget.seed);
        let mut budget = self.budget.clone();
        budget.seed = seed;
        budget.calibration.seeds.iter_mut().for_each(|seed| *seed = seed.wrapping_add(offset));
        budget
    }

    /// The recorded seeds. Each has runs of its own: a file that names more seeds than it has runs is not believed.
    pub fn seeds(&self) -> Vec<u64> {
        let count = self.seeds.min(self.runs.len() as u64);
        (0..count).map_while(|offset| self.budget.seed.checked_add(offset)).collect()
    }

    /// The result of `trial` as the recorded run had it; `before` is the trial that it continues, whose cost is
    /// not counted again.
    ///
    /// # Errors
    /// [`Error::NotRecorded`] when no recorded run holds the trial, or it was not evaluated at the trial's end.
    pub fn result(&self, trial: &Trial, before: Option<&Trial>) -> Result<TrialResult, Error> {
        let missing = || Error::NotRecorded {
            task: self.task.clone(),
            what: format!(
                "{} ranks {}, {} samples, seed {}, {} of {} steps",
                trial.role, trial.ranks, trial.samples, trial.seed, trial.steps, trial.horizon
            ),
        };
        let run = self.runs.iter().find(|run| run.holds(trial)).ok_or_else(missing)?;
        let diverged_later = matches!(run.end, TrialEnd::Diverged { step } if step > trial.steps);
        let points: Vec<&RecordedPoint> = run.seen(trial.steps, trial.evaluate_from).collect();
        let mut cost = run.cost_at(trial.steps, trial.evaluate_from);
        if let Some(before) = before {
            let earlier = run.cost_at(before.steps, before.evaluate_from);
            cost.flops -= earlier.flops;
            cost.eval_flops -= earlier.eval_flops;
            cost.wall_s -= earlier.wall_s;
        }
        let curve = points.iter().map(|point| (point.step, point.loss())).collect();
        let before_last = points.iter().take(points.len().saturating_sub(1));
        let earlier = match trial.role {
            Role::Joint => Vec::new(),
            Role::Alone | Role::Race | Role::Final => {
                before_last.map(|point| (point.step, point.blocks.clone())).collect()
            }
        };
        let train = match trial.role {
            Role::Alone | Role::Joint => Vec::new(),
            Role::Race | Role::Final => (1..=trial.steps).zip(run.train.iter().copied()).collect::<Vec<_>>(),
        };
        let mut result = TrialResult::finished(trial, curve, cost)
            .with_blocks(points.last().map(|point| point.blocks.clone()).unwrap_or_default())
            .with_earlier_blocks(earlier)
            .with_train_curve(train)
            .with_kept(self.kept(run, trial, &points))
            .with_end(if diverged_later { TrialEnd::Finished } else { run.end.clone() });
        if trial.role == Role::Alone {
            (result.convergence, result.censored) = (run.convergence, run.censored.clone());
        }
        Ok(result)
    }

    /// The step whose adapter `trial` leaves, where that is not its last: of a part of a run with these evaluations, what a run that
    /// ends there would have kept.
    fn kept(&self, run: &RecordedRun, trial: &Trial, points: &[&RecordedPoint]) -> Option<usize> {
        if run.end == TrialEnd::Finished && points.len() == run.curve.len() {
            return run.kept.filter(|kept| *kept < trial.steps);
        }
        let keeps_best = self
            .keeps_best
            .unwrap_or_else(|| self.runs.iter().any(|run| run.kept.is_some() || run.over_fitted));
        // A trainer keeps no earlier adapter of a run by a method, and none of a calibration run of one module.
        if !keeps_best || run.method.is_some() || trial.role == Role::Alone {
            return None;
        }
        let curve: Vec<(usize, f64)> = points.iter().map(|point| (point.step, point.loss())).collect();
        let blocks = |step: usize| points.iter().find(|point| point.step == step);
        let kept = kept_step(&curve, |step| blocks(step).map_or(&[][..], |point| point.blocks.as_slice()));
        kept.filter(|kept| points.last().is_some_and(|last| *kept < last.step))
    }

    /// A runner that answers with the recorded results.
    pub fn runner(&self) -> RecordedRunner<'_> {
        RecordedRunner { recording: self, asked: BTreeMap::new() }
    }

    /// Every plain full run of the grid as a cell; none where a choice of the space was not run in full with any seed: the best of
    /// the others need not be the best of the grid.
    pub fn grid(&self) -> Vec<GridCell> {
        let choices: BTreeSet<Ranks> = self.space.grid().unwrap_or_default().into_iter().collect();
        let full = self.runs.iter().filter(|run| {
            // A failed run has no last step that says how far it was to train.
            let failed = run.end != TrialEnd::Finished && run.is_of(&self.budget);
            run.method.is_none() && choices.contains(&run.ranks) && (failed || run.is_full(&self.budget))
        });
        let cells: Vec<GridCell> = full
            .map(|run| GridCell {
                ranks: run.ranks.clone(),
                seed: run.seed,
                test_perplexity: run.test_perplexity.unwrap_or(f64::NAN),
            })
            .collect();
        let found: BTreeSet<&Ranks> = cells.iter().map(|cell| &cell.ranks).collect();
        if found.len() == choices.len() { cells } else { Vec::new() }
    }

    /// Test perplexity of the run that ends in `trial`; NaN where it was not measured.
    pub fn test_perplexity(&self, trial: &Trial) -> f64 {
        let run = self.runs.iter().find(|run| run.holds(trial) && run.ends_at(trial.steps));
        run.and_then(|run| run.test_perplexity).unwrap_or(f64::NAN)
    }
}

/// Answers a policy with the runs of a [`Recording`]; made by [`Recording::runner`].
#[derive(Clone, Debug)]
pub struct RecordedRunner<'a> {
    recording: &'a Recording,
    /// Trials by id: a trial is charged what it costs beyond the one that it continues.
    asked: BTreeMap<u32, Trial>,
}

impl Runner for RecordedRunner<'_> {
    type Error = Error;

    fn run(&mut self, trials: &[Trial]) -> Result<Answer, Error> {
        let before = |trial: &Trial| trial.continues.and_then(|id| self.asked.get(&id));
        let results: Result<Vec<_>, _> =
            trials.iter().map(|trial| self.recording.result(trial, before(trial))).collect();
        self.asked.extend(trials.iter().map(|trial| (trial.id, trial.clone())));
        Ok(Answer::Results(results?))
    }
}
