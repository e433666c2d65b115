//! What a search has left to do, estimated from what its finished runs took.

use super::snapshot::Asked;
use crate::{config::SearchConfig, plan::evaluations};
use mars_calib::{
    RunId,
    campaign::{Begun, Holder},
};
use mars_search::{Budget, Trial, TrialEnd, TrialResult};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    ops::AddAssign,
};

/// What is left to do, estimated from the finished runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Left {
    /// Optimizer steps of the runs that were asked for and are not done, from their last checkpoints on; those that are
    /// running included.
    pub steps: u64,
    /// Optimizer steps of what is expected to be asked for after those; conditional on what they measure.
    pub later_steps: u64,
    /// Training time of `steps`, seconds, one run after another; `None` before a run is finished.
    pub wall_s: Option<f64>,
    /// The same for `later_steps`.
    pub later_wall_s: Option<f64>,
    /// Model FLOPs of both, with evaluations; `None` where no finished run has counted any.
    pub flops: Option<f64>,
    /// Processes that hold runs and live, as far as is known.
    pub processes: usize,
}

/// The step from which each trial trains: the end of the one that it continues, otherwise 0.
pub(super) struct Begins(BTreeMap<u32, usize>);

impl Begins {
    /// `continues` says whether the trainer continues runs from checkpoints.
    pub(super) fn of(all: &[Asked], continues: bool) -> Self {
        let ends: BTreeMap<u32, usize> =
            all.iter().map(|asked| (asked.trial.id, asked.trial.steps)).collect();
        let from = |trial: &Trial| {
            let before = trial.continues.filter(|_| continues).and_then(|id| ends.get(&id));
            before.copied().unwrap_or(0)
        };
        Self(all.iter().map(|Asked { trial, .. }| (trial.id, from(trial))).collect())
    }

    fn get(&self, trial: &Trial) -> usize {
        self.0.get(&trial.id).copied().unwrap_or(0)
    }

    /// Optimizer steps of all trials, each without those of the one that it continues.
    pub(super) fn steps(&self, all: &[Asked]) -> u64 {
        all.iter().map(|Asked { trial, .. }| trial.steps.saturating_sub(self.get(trial)) as u64).sum()
    }
}

/// How runs of a kind are evaluated.
#[derive(Clone, Copy)]
struct Evaluated {
    /// Optimizer steps between evaluations.
    every: usize,
    /// Validation samples of one.
    samples: usize,
}

/// How runs of calibration and others are evaluated.
pub(super) struct Rhythm {
    calibration: Evaluated,
    race: Evaluated,
}

impl Rhythm {
    pub(super) fn of(config: &SearchConfig, budget: &Budget) -> Self {
        let template = config.run_template();
        // Where the number of samples is not known, all evaluations count alike.
        let samples = budget.validation_samples.max(1);
        let fewer = template.calibration_validation.unwrap_or(samples).min(samples);
        Self {
            calibration: Evaluated { every: template.calibration_eval_every.max(1), samples: fewer },
            race: Evaluated { every: template.eval_every.max(1), samples },
        }
    }

    fn get(&self, trial: &Trial) -> Evaluated {
        if trial.role.is_calibration() { self.calibration } else { self.race }
    }

    /// What a trial has to do from step `from` on.
    fn open(&self, trial: &Trial, from: usize) -> Work {
        let Evaluated { every, samples } = self.get(trial);
        let evaluations = evaluations(trial, from, every);
        Work { steps: trial.steps.saturating_sub(from) as u64, samples: (evaluations * samples) as f64 }
    }

    /// What a trial that began at step `from` has done.
    fn done(&self, result: &TrialResult, from: usize) -> Work {
        let steps = trained(result).saturating_sub(from) as u64;
        let own = |step: usize| step > from || from == 0;
        let evaluations = result.val_curve.iter().filter(|(step, _)| own(*step)).count();
        Work { steps, samples: (evaluations * self.get(&result.trial).samples) as f64 }
    }

    /// So many steps of races.
    fn later(&self, steps: u64) -> Work {
        let Evaluated { every, samples } = self.race;
        Work { steps, samples: steps as f64 / every as f64 * samples as f64 }
    }
}

/// The step at which a run ended; it may have ended before its planned steps.
fn trained(result: &TrialResult) -> usize {
    let last = result.val_curve.last().map(|(step, _)| *step);
    match (&result.end, last) {
        (TrialEnd::Diverged { step }, _) => *step,
        (_, Some(last)) if result.trial.stop_when_converged || result.kept.is_some() => last,
        _ => result.trial.steps,
    }
}

/// Optimizer steps, and validation samples over all evaluations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Work {
    steps: u64,
    samples: f64,
}

impl AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.steps += other.steps;
        self.samples += other.samples;
    }
}

/// What finished runs took, in all. Training and evaluation are apart: short runs are evaluated more often.
#[derive(Clone, Copy, Debug, Default)]
struct Measured {
    work: Work,
    wall_s: f64,
    training: f64,
    evaluation: f64,
}

impl Measured {
    fn wall_s(self, work: Work) -> Option<f64> {
        let all = self.training + self.evaluation;
        match self.flops(work) {
            Some(flops) => Some(self.wall_s / all * flops),
            None => (self.work.steps > 0).then(|| self.wall_s / self.work.steps as f64 * work.steps as f64),
        }
    }

    fn flops(self, work: Work) -> Option<f64> {
        let evaluation = if self.work.samples > 0.0 { self.evaluation / self.work.samples } else { 0.0 };
        (self.work.steps > 0 && self.training > 0.0)
            .then(|| self.training / self.work.steps as f64 * work.steps as f64 + evaluation * work.samples)
    }
}

/// A step and an evaluation of one kind of runs take as long as those of finished ones of their kind; where there are none, as
/// those of all.
pub(super) fn left(
    asked: &[Asked],
    (begins, rhythm): (&Begins, &Rhythm),
    later_steps: u64,
    (begun, owner): (&BTreeMap<RunId, Begun>, Option<&Holder>),
) -> Left {
    let measured = |calibration: Option<bool>| {
        let mut sum = Measured::default();
        for Asked { trial, result, .. } in asked {
            if let Some(result) = result
                && calibration.is_none_or(|calibration| calibration == trial.role.is_calibration())
            {
                sum.work += rhythm.done(result, begins.get(trial));
                sum.wall_s += result.cost.wall_s;
                sum.training += result.cost.flops;
                sum.evaluation += result.cost.eval_flops;
            }
        }
        sum
    };
    let all = measured(None);
    let [race, calibration] =
        [false, true].map(|kind| Some(measured(Some(kind))).filter(|sum| sum.work.steps > 0).unwrap_or(all));
    let open = |kind: bool| {
        let mut sum = Work::default();
        let own = |one: &&Asked| one.result.is_none() && one.trial.role.is_calibration() == kind;
        for Asked { trial, checkpoint, .. } in asked.iter().filter(own) {
            sum += rhythm.open(trial, begins.get(trial).max(*checkpoint));
        }
        sum
    };
    let (races, calibrations, later) = (open(false), open(true), rhythm.later(later_steps));
    let sum = |one: Option<f64>, other: Option<f64>| Some(one? + other?);
    let asked_for = sum(race.flops(races), calibration.flops(calibrations));
    let holders = begun.values().filter_map(|begun| match begun {
        Begun::Held(holder) if !holder.gone => Some(holder.name.as_str()),
        _ => None,
    });
    Left {
        steps: races.steps + calibrations.steps,
        later_steps,
        wall_s: sum(race.wall_s(races), calibration.wall_s(calibrations)),
        later_wall_s: race.wall_s(later),
        flops: sum(asked_for, race.flops(later)),
        processes: holders.chain(owner.map(|holder| holder.name.as_str())).collect::<BTreeSet<_>>().len(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Begins, Evaluated, Left, Rhythm, left};
    use crate::search::snapshot::Asked;
    use mars_calib::RunSpec;
    use mars_laws::Ranks;
    use mars_search::{Cost, Role, Trial, TrialResult};
    use std::collections::BTreeMap;

    /// FLOPs of a step and of the evaluation of a sample, and seconds for each of them.
    const STEP: f64 = 30.0;
    const SAMPLE: f64 = 2.0;
    const SECONDS: f64 = 0.5;
    const RHYTHM: Rhythm = Rhythm {
        calibration: Evaluated { every: 4, samples: 48 },
        race: Evaluated { every: 75, samples: 512 },
    };

    fn trial(id: u32, role: Role, steps: usize, continues: Option<u32>) -> Trial {
        Trial {
            id,
            stop_when_converged: role == Role::Alone,
            continues,
            ..Trial::new(role, Ranks::new().with("llm", 4), 64, steps)
        }
    }

    fn missing(trial: Trial, checkpoint: usize) -> Asked {
        let id = RunSpec::new(trial.ranks.clone(), trial.samples, 8, trial.steps, 1e-3).id();
        Asked { trial, id, result: None, checkpoint }
    }

    /// A run from step `from` that ended at step `end`.
    fn done(trial: Trial, from: usize, end: usize) -> Asked {
        let Evaluated { every, samples } = RHYTHM.get(&trial);
        let curve: Vec<(usize, f64)> = (0..=end).step_by(every).map(|step| (step, 1.0)).collect();
        let own = curve.iter().filter(|(step, _)| from == 0 || *step > from).count();
        let (flops, eval_flops) = ((end - from) as f64 * STEP, (own * samples) as f64 * SAMPLE);
        let cost = Cost { flops, eval_flops, wall_s: SECONDS * (flops + eval_flops) };
        let result = Some(TrialResult::finished(&trial, curve, cost));
        Asked { result, ..missing(trial, 0) }
    }

    fn of(all: &[Asked], later: u64) -> Left {
        left(all, (&Begins::of(all, true), &RHYTHM), later, (&BTreeMap::new(), None))
    }

    /// Calibration runs are short and evaluated often, on few samples; what is left is not.
    #[test]
    fn what_is_left_costs_what_its_own_steps_and_evaluations_do() {
        let calibration = |end: usize| done(trial(0, Role::Alone, 112, None), 0, end);
        let whole = |steps: f64, evaluations: f64| steps * STEP + evaluations * 512.0 * SAMPLE;
        let close = |found: Option<f64>, expected: f64| {
            assert!((found.unwrap_or(0.0) / expected - 1.0).abs() < 1e-12, "{found:?}, not {expected}");
        };
        for end in [112, 64] {
            let all = [calibration(end), missing(trial(1, Role::Final, 1500, None), 0)];
            let found = of(&all, 0);
            close(found.flops, whole(1500.0, 21.0));
            close(found.wall_s, SECONDS * whole(1500.0, 21.0));
            assert_eq!(found.steps, 1500);
        }
        let raced = done(trial(1, Role::Race, 150, None), 0, 150);
        let all = [calibration(112), raced, missing(trial(2, Role::Race, 1500, Some(1)), 0)];
        let found = of(&all, 750);
        close(found.flops, whole(1350.0, 18.0) + whole(750.0, 10.0));
        close(found.later_wall_s, SECONDS * whole(750.0, 10.0));
        assert_eq!(of(&all[2..], 0).flops, None, "nothing is measured");
    }

    #[test]
    fn steps_before_a_checkpoint_are_done() {
        let raced = || done(trial(0, Role::Race, 40, None), 0, 40);
        for (checkpoint, left) in [(0, 360), (40, 360), (342, 58), (400, 0)] {
            let all = [raced(), missing(trial(1, Role::Race, 400, Some(0)), checkpoint)];
            assert_eq!(of(&all, 0).steps, left, "{checkpoint}");
            assert_eq!(Begins::of(&all, true).steps(&all), 400, "all that was asked for");
        }
        let calibration = [missing(trial(0, Role::Alone, 112, None), 50)];
        assert_eq!(of(&calibration, 0).steps, 62);
    }
}
