//! Short runs of each kind by an external command: one step costs what a longer run takes more, the rest is the start. Where evaluations
//! are farther apart than these runs are long, a run that is evaluated more often says what one costs.

use super::{
    Expected, Expense, Prices, Probe, RehearsedTrial, Seconds, Watch, probe,
    usage::{Mark, children_peak},
};
use crate::{Error, Interrupt, config::SearchConfig, plan::restarts};
use mars_calib::{CommandTrainer, RunRecord, RunSpec, Trainer};
use mars_search::{Budget, Cost, Space, Trial};
use std::collections::BTreeMap;

/// How much longer than the shorter the longer run must take, seconds, where it has as many steps; and the most that a run of
/// a probe may take before it is long enough anyway.
const APART: f64 = 2.0;
const LONG: f64 = 30.0;
/// Most steps of the shorter run, and by how much the longer one is made longer at a time.
const FEW: usize = 8;
const FACTOR: usize = 4;
/// Evaluations after step 0 of the run that says what one costs.
const EVALUATIONS: usize = 4;

/// Runs of one module alone fail without that loss, others do not.
const BEGUN_LATE: &str = "trainer.command logs no validation loss at step 0: the improvement by training will be unknown; evaluate before the \
                          first step (the Trainer's eval_on_start=True)";

/// Measures, and prices the search of the resolved `config` by `trainer`.
pub(crate) fn probe_command(
    trainer: &mut CommandTrainer,
    config: &SearchConfig,
    (space, budget): (&Space, &Budget),
    interrupt: &Interrupt,
) -> Result<Probe, Error> {
    let mark = Mark::now();
    let expected = Expected::of(config, (space, budget), trainer.continues(), &|_, _| Ok(Cost::default()))?;
    let template = config.run_template();
    let mut largest: BTreeMap<Key, &Trial> = BTreeMap::new();
    for step in expected.trials.iter().chain([&expected.fine_tune]) {
        let size = |trial: &Trial| (trial.samples, trial.ranks.iter().map(|(_, rank)| rank).sum::<usize>());
        let known = largest.entry(key(&step.trial)).or_insert(&step.trial);
        if size(&step.trial) > size(known) {
            *known = &step.trial;
        }
    }
    let mut measure = Measure { trainer, interrupt, steps: 0, begun_late: false };
    let mut kinds = BTreeMap::new();
    for (key, trial) in largest {
        let longest = expected.trials.iter().filter(|step| self::key(&step.trial) == key);
        let longest = longest.map(|step| step.trial.steps).max().unwrap_or(trial.steps);
        kinds.insert(key, measure.kind(&template.spec(trial, &BTreeMap::new(), "probe"), longest)?);
    }
    let (steps, late) = (measure.steps, measure.begun_late.then(|| BEGUN_LATE.to_owned()));
    let cautions = if trainer.continues() { None } else { restarts(&config.policy(), space, budget) };
    let probe = probe(&expected, &CommandPrices { kinds }, (mark, steps), children_peak())?;
    Ok(Probe { cautions: cautions.into_iter().chain(late).collect(), ..probe })
}

/// What runs have in common that take as long for a step: the adapted modules, and how they are evaluated.
type Key = (Vec<String>, bool);

fn key(trial: &Trial) -> Key {
    (trial.ranks.modules().map(str::to_owned).collect(), trial.role.is_calibration())
}

/// What runs of one kind take.
#[derive(Clone, Copy, Debug)]
struct Kind {
    start: Seconds,
    step: Seconds,
    /// FLOPs of a step, 0 where the command tells none.
    flops: f64,
}

struct CommandPrices {
    kinds: BTreeMap<Key, Kind>,
}

impl Prices for CommandPrices {
    fn expense(&self, trials: &[&RehearsedTrial]) -> Result<Expense, Error> {
        let (mut seconds, mut flops) = (Seconds::default(), 0.0);
        for step in trials {
            let own = self.kinds.get(&key(&step.trial)).or_else(|| self.kinds.values().next_back());
            let Some(kind) = own else { continue };
            let steps = step.trial.steps.saturating_sub(step.from) as f64;
            seconds = seconds.plus(kind.start, 1.0).plus(kind.step, steps);
            flops += kind.flops * steps;
        }
        Ok(Expense::new(seconds, Some(flops)))
    }
}

/// Lets the command train short runs.
struct Measure<'a> {
    trainer: &'a mut CommandTrainer,
    interrupt: &'a Interrupt,
    steps: usize,
    /// Whether a run was not evaluated at step 0.
    begun_late: bool,
}

impl Measure<'_> {
    /// Runs like `spec`, of at most `longest` steps.
    fn kind(&mut self, spec: &RunSpec, longest: usize) -> Result<Kind, Error> {
        let every = spec.eval_every.max(1);
        let short = FEW.min(longest.div_ceil(2)).max(1);
        // At its end only, where a run is too short for the evaluations of a whole one.
        let apart = every > short;
        let interval = |steps: usize| if apart { steps } else { every };
        let (first, first_flops) = self.run(spec, short, interval(short))?;
        let factor = if first.wall >= LONG { 2 } else { FACTOR };
        let mut steps = (short * factor).min(longest);
        if steps == short {
            let step = first.times(1.0 / short as f64);
            return Ok(Kind { start: Seconds::default(), step, flops: first_flops / short as f64 });
        }
        let (more, flops) = loop {
            let (second, flops) = self.run(spec, steps, interval(steps))?;
            let more = second.plus(first, -1.0);
            if more.wall >= APART || second.wall >= LONG || steps == longest {
                break (more, flops / steps as f64);
            }
            steps = (steps * FACTOR).min(longest);
        };
        let step = more.or_zero().times(1.0 / (steps - short) as f64);
        let start = first.plus(step, -(short as f64)).or_zero();
        let often = short.div_ceil(EVALUATIONS);
        if !apart || often == short {
            return Ok(Kind { start, step, flops });
        }
        let (third, _) = self.run(spec, short, often)?;
        let evaluations = short.div_ceil(often) - 1;
        let evaluation = third.plus(first, -1.0).or_zero().times(1.0 / evaluations as f64);
        Ok(Kind {
            start: start.plus(evaluation, -1.0).or_zero(),
            step: step.plus(evaluation, 1.0 / every as f64),
            flops,
        })
    }

    /// Time and FLOPs of a run of `steps` steps, evaluated every `eval_every`.
    fn run(&mut self, spec: &RunSpec, steps: usize, eval_every: usize) -> Result<(Seconds, f64), Error> {
        let spec = RunSpec {
            steps,
            eval_every,
            horizon: spec.horizon.max(steps),
            evaluate_from: 0,
            stop_when_converged: false,
            continues: None,
            ..spec.clone()
        };
        let mark = Mark::now();
        let mut watch = Watch::new(self.interrupt, |_| {});
        let records = self.trainer.train(&[spec], &mut watch);
        let seconds = mark.until(Mark::now());
        let records = watch.checked(records)?;
        let flops = records.iter().map(|record| record.flops).sum();
        let late = |record: &RunRecord| record.val.first().is_some_and(|first| first.step > 0);
        self.begun_late |= records.iter().any(late);
        self.steps += steps;
        Ok((seconds, flops))
    }
}
