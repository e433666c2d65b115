//! A few steps of each kind of run by the built-in trainer, in stacks as the search has them.

use super::{
    Expected, Expense, Prices, Probe, RehearsedTrial, Seconds, Watch,
    line::Line,
    probe,
    stacks::{Member, Passes},
    usage::{Mark, own_peak},
};
use crate::{Error, Interrupt, Task, config::SearchConfig, plan::pricing::Pricing, search::RunTemplate};
use mars_calib::{
    Progress, RunSpec, Stage, Trainer,
    native::{NativeOptions, NativeTrainer, stack_width, stacks},
};
use mars_lora::Examples;
use mars_search::Trial;
use mars_vlm::model::{AnyModel, EncodedExamples};
use std::collections::BTreeMap;

/// Steps that are trained to learn how long one takes, of which the first does not count; and the most that are measured.
const FIRST: usize = 3;
const MOST: usize = 96;
/// How long the steps of one stack are measured, seconds, where that takes no more steps.
const LONG: f64 = 2.0;

/// Measures, and prices the search of `config` on `task`.
pub(crate) fn probe_native(
    config: &SearchConfig,
    task: &Task<AnyModel, EncodedExamples>,
    interrupt: &Interrupt,
) -> Result<Probe, Error> {
    let mark = Mark::now();
    config.check()?;
    config.check_native()?;
    let (config, _) = task.settled(config)?;
    let space = config.space(task.parameters_per_rank(&config)?);
    let budget = config.budget(task.train.len(), config.train.seed);
    let options = NativeOptions { start: task.start.clone(), ..config.native_options()? };
    let pricing = Pricing::measure(&config, task)?;
    let expected =
        Expected::of(&config, (&space, &budget), true, &|trial, from| pricing.prices.cost(trial, from))?;
    let kinds = BTreeMap::new();
    let devices = 1 + task.replicas.len();
    let mut prices =
        NativePrices { template: config.run_template(), pricing, options: options.clone(), devices, kinds };
    let mut measure = Measure { task, options, interrupt, steps: 0 };
    for (key, points) in prices.points(&expected.trials)? {
        let (mut steps, mut evaluations) = (Vec::new(), Vec::new());
        for point in points {
            let laps = measure.stack(&point.specs, point.copies)?;
            steps.push((point.step, laps.step));
            evaluations.extend(laps.evaluation.map(|seconds| (point.evaluation, seconds)));
        }
        let lines = Line::through(&steps).map(|steps| (steps, Line::through(&evaluations).unwrap_or(steps)));
        prices.kinds.extend(lines.map(|lines| (key, lines)));
    }
    probe(&expected, &prices, (mark, measure.steps), own_peak())
}

/// What runs have in common whose passes can be compared: the adapted modules, and the method.
type Key = (Vec<String>, Option<String>);

fn key(trial: &Trial) -> Key {
    (trial.ranks.modules().map(str::to_owned).collect(), trial.method.map(|method| method.to_string()))
}

/// What passes over FLOPs take, by kind: of training, of evaluation.
struct NativePrices<'a> {
    template: RunTemplate,
    pricing: Pricing<'a>,
    options: NativeOptions,
    devices: usize,
    kinds: BTreeMap<Key, (Line, Line)>,
}

/// A stack to be measured.
struct Point {
    specs: Vec<RunSpec>,
    /// How many are trained side by side.
    copies: usize,
    /// FLOPs of a step, and of an evaluation.
    step: f64,
    evaluation: f64,
}

impl NativePrices<'_> {
    /// Stacks trained at the same time.
    fn workers(&self) -> usize {
        self.options.workers.max(1).saturating_mul(self.devices)
    }

    fn member(&self, RehearsedTrial { trial, from, .. }: &RehearsedTrial) -> Result<Member, Error> {
        let calibration = trial.role.is_calibration();
        let every = if calibration { self.template.calibration_eval_every } else { self.template.eval_every };
        let validation = self.template.calibration_validation.filter(|_| calibration);
        Ok(Member {
            from: *from,
            to: trial.steps,
            every,
            evaluate_from: trial.evaluate_from,
            step: self.pricing.prices.flops(&trial.ranks, 1, 0, None)?,
            evaluation: self.pricing.prices.flops(&trial.ranks, 0, 1, validation)?,
        })
    }

    /// The stacks in which `trials` are trained, by their places.
    fn stacks(&self, trials: &[&RehearsedTrial]) -> (Vec<RunSpec>, Vec<Vec<usize>>) {
        let specs: Vec<RunSpec> =
            trials.iter().map(|step| self.template.spec(&step.trial, &BTreeMap::new(), "")).collect();
        let (methods, plain): (Vec<usize>, Vec<usize>) =
            (0..trials.len()).partition(|at| specs[*at].method.is_some());
        let runs: Vec<(usize, &RunSpec, usize)> =
            plain.into_iter().map(|at| (at, &specs[at], trials[at].from)).collect();
        let mut all: Vec<Vec<usize>> = methods.into_iter().map(|at| vec![at]).collect();
        all.extend(stacks(&runs, stack_width(self.options.stack, runs.len(), self.devices)));
        (specs, all)
    }

    /// Of each kind the run alone with the least work, and the stack with the most.
    fn points(&self, trials: &[RehearsedTrial]) -> Result<BTreeMap<Key, Vec<Point>>, Error> {
        let mut all: BTreeMap<Key, Vec<Point>> = BTreeMap::new();
        let trials: Vec<&RehearsedTrial> = trials.iter().collect();
        for round in trials.chunk_by(|one, other| one.round == other.round) {
            let (specs, groups) = self.stacks(round);
            let copies = groups.len().min(self.workers());
            let members = round.iter().map(|step| self.member(step)).collect::<Result<Vec<_>, Error>>()?;
            for group in &groups {
                let Some(first) = group.first() else { continue };
                let least = group.iter().min_by(|a, b| members[**a].step.total_cmp(&members[**b].step));
                let alone = least.map(|at| vec![*at]);
                for places in [Some(group.clone()), alone].into_iter().flatten() {
                    let point = Point {
                        step: places.iter().map(|at| members[*at].step).sum(),
                        evaluation: places.iter().map(|at| members[*at].evaluation).sum(),
                        specs: places.iter().map(|at| specs[*at].clone()).collect(),
                        copies: if places.len() < group.len() { 1 } else { copies },
                    };
                    all.entry(key(&round[*first].trial)).or_default().push(point);
                }
            }
        }
        for points in all.values_mut() {
            points.sort_by(|one, other| one.step.total_cmp(&other.step));
            if let Some(most) = points.pop() {
                points.truncate(1);
                points.retain(|least| least.step < most.step);
                points.push(most);
            }
        }
        Ok(all)
    }
}

impl Prices for NativePrices<'_> {
    fn expense(&self, trials: &[&RehearsedTrial]) -> Result<Expense, Error> {
        let mut flops = 0.0;
        for step in trials {
            flops += self.pricing.prices.cost(&step.trial, step.from)?.total_flops();
        }
        let mut workers = vec![Seconds::default(); self.workers()];
        for group in self.stacks(trials).1 {
            let members =
                group.iter().map(|at| self.member(trials[*at])).collect::<Result<Vec<_>, Error>>()?;
            let own = group.first().and_then(|at| self.kinds.get(&key(&trials[*at].trial)));
            let Some((step, evaluation)) = own.or_else(|| self.kinds.values().next_back()) else { continue };
            let passes = Passes::of(&members);
            let sum = |line: &Line, all: &[(f64, usize)]| {
                let each =
                    |sum: Seconds, (flops, count): &(f64, usize)| sum.plus(line.at(*flops), *count as f64);
                all.iter().fold(Seconds::default(), each)
            };
            let next = workers.iter_mut().min_by(|one, other| one.wall.total_cmp(&other.wall));
            if let Some(worker) = next {
                *worker = worker.plus(sum(step, &passes.steps), 1.0);
                *worker = worker.plus(sum(evaluation, &passes.evaluations), 1.0);
            }
        }
        let seconds = Seconds {
            wall: workers.iter().map(|worker| worker.wall).fold(0.0, f64::max),
            cpu: workers.iter().map(|worker| worker.cpu).sum(),
        };
        Ok(Expense::new(seconds, Some(flops)))
    }
}

/// Trains stacks for a few steps.
struct Measure<'a> {
    task: &'a Task<AnyModel, EncodedExamples>,
    options: NativeOptions,
    interrupt: &'a Interrupt,
    steps: usize,
}

/// What a step and an evaluation of a stack take.
struct Laps {
    step: Seconds,
    evaluation: Option<Seconds>,
}

impl Measure<'_> {
    fn stack(&mut self, specs: &[RunSpec], copies: usize) -> Result<Laps, Error> {
        let longest = specs.iter().map(|spec| spec.steps).max().unwrap_or(1);
        let first = self.laps(specs, copies, FIRST.min(longest))?;
        let steps = (LONG / first.step.wall.max(1e-6)).min(MOST.min(longest) as f64) as usize;
        if steps <= FIRST {
            return Ok(first);
        }
        let more = self.laps(specs, copies, steps)?;
        let mean = |(one, other): (Seconds, Seconds)| one.plus(other, 1.0).times(0.5);
        Ok(Laps { evaluation: first.evaluation.zip(more.evaluation).map(mean), ..more })
    }

    /// Means over `steps` steps.
    fn laps(&mut self, specs: &[RunSpec], copies: usize, steps: usize) -> Result<Laps, Error> {
        // As many stacks on each device.
        let devices = copies.min(1 + self.task.replicas.len());
        let copies = copies - copies % devices;
        let eval_every = steps;
        let copy = |number: u64| {
            specs.iter().map(move |spec| RunSpec {
                steps,
                eval_every,
                horizon: spec.horizon.max(steps),
                evaluate_from: 0,
                stop_when_converged: false,
                continues: None,
                seed: spec.seed.wrapping_add(number * 7919),
                ..spec.clone()
            })
        };
        let all: Vec<RunSpec> = (0..copies as u64).flat_map(copy).collect();
        let Some(first) = all.first().map(RunSpec::id) else {
            return Err(Error::failed("the policy asks for no run that could be measured"));
        };
        let (mut last, mut trained, mut evaluated) = (None::<Mark>, Vec::new(), Vec::new());
        let see = |event: &Progress| {
            if event.run == first {
                let now = Mark::now();
                let lap = last.replace(now).map(|last| last.until(now));
                match event.stage {
                    Stage::Train => trained.extend(lap),
                    Stage::Evaluate if event.step > 0 => evaluated.extend(lap),
                    Stage::Evaluate => {}
                }
            }
        };
        let options = NativeOptions {
            stack: specs.len(),
            workers: copies / devices,
            checkpoint_every: None,
            ..self.options.clone()
        };
        let (model, train, val) = (&self.task.model, &self.task.train, &self.task.val);
        let mut watch = Watch::new(self.interrupt, see);
        let mut trainer =
            NativeTrainer::new(model, train, val, options).with_replicas(&self.task.replicas[..devices - 1]);
        let records = trainer.train(&all, &mut watch);
        watch.checked(records)?;
        self.steps += all.len() * steps;
        let mean = |laps: &[Seconds]| {
            let sum = laps.iter().fold(Seconds::default(), |sum, lap| sum.plus(*lap, 1.0));
            let Seconds { wall, cpu } = sum.times(1.0 / laps.len().max(1) as f64);
            Seconds { wall, cpu: cpu / copies as f64 }
        };
        // The first step makes what later ones use again.
        let warm = if trained.len() > 2 { &trained[1..] } else { &trained[..] };
        let evaluation = (!evaluated.is_empty()).then(|| mean(&evaluated));
        Ok(Laps { step: mean(warm), evaluation })
    }
}
