//! A trainer without a model: planted laws turned into curves, for tests of everything around training.
//!
//! The loss of a run is `floor(ranks, D) + sum_m drop_m * exp(-ln(10) * step / t_m(r_m, D))` with the
//! planted convergence times `t_m = k r^gamma D^delta + E`, plus noise from a generator that is carried
//! from step to step. A trainer that resumed from a wrong state, or redid a step, would therefore
//! give other numbers.

use super::ended_by;
use crate::convergence::has_converged;
use crate::{
    CheckpointStore, CurvePoint, Error, Flow, Observer, Progress, RunEnd, RunRecord, RunSpec, Stage, Trainer,
};
use mars_laws::Ranks;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, thread, time::Duration};

/// The planted behaviour of one module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlantedModule {
    /// Factor of the convergence time, steps.
    pub k: f64,
    /// Exponent of the rank in the time.
    pub gamma: f64,
    /// Exponent of the number of samples in the time.
    pub delta: f64,
    /// Offset of the time, steps.
    pub offset: f64,
    /// Loss that adapting the module takes away in the long run, nats per answer token.
    pub drop: f64,
    /// Exponent of the rank in the final loss.
    pub alpha: f64,
    /// LoRA parameters per unit of rank.
    pub parameters: u64,
}

impl PlantedModule {
    /// The planted convergence time, steps.
    /// `k rank^gamma samples^delta + offset`.
    pub fn time(&self, rank: usize, samples: usize) -> f64 {
        self.k * (rank as f64).powf(self.gamma) * (samples as f64).powf(self.delta) + self.offset
    }
}

/// What goes wrong in a run.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// The loss is NaN from this step on.
    Diverge(usize),
    /// The run fails with this message.
    Fail(String),
}

/// The trainer.
pub struct FakeTrainer {
    /// Planted behaviour of each module.
    pub modules: BTreeMap<String, PlantedModule>,
    /// Loss of the frozen model, nats per answer token.
    pub base_loss: f64,
    /// Standard deviation of the noise on each loss, nats per answer token.
    pub noise: f64,
    /// What goes wrong, by ranks.
    pub faults: BTreeMap<Ranks, Fault>,
    /// Where states are kept; none are with `None`.
    pub checkpoints: Option<Box<dyn CheckpointStore>>,
    /// Steps between checkpoints.
    pub checkpoint_every: usize,
    /// Time that each step takes.
    pub step_time: Duration,
}

impl Default for FakeTrainer {
    /// Two modules, `ve` and `llm`, with times of 20 to 200 steps at the usual ranks and sizes.
    fn default() -> Self {
        let llm = PlantedModule {
            k: 6.2,
            gamma: -0.33,
            delta: 0.5,
            offset: 0.0,
            drop: 1.2,
            alpha: 0.1,
            parameters: 1000,
        };
        let ve = PlantedModule { k: 9.0, gamma: -0.4, delta: 0.45, drop: 0.8, parameters: 700, ..llm };
        Self {
            modules: BTreeMap::from([("llm".into(), llm), ("ve".into(), ve)]),
            base_loss: 3.0,
            noise: 0.002,
            faults: BTreeMap::new(),
            checkpoints: None,
            checkpoint_every: 10,
            step_time: Duration::ZERO,
        }
    }
}

/// The state of a run between two steps.
#[derive(Clone, Serialize, Deserialize)]
struct State {
    step: usize,
    noise: u64,
    val: Vec<CurvePoint>,
    train: Vec<CurvePoint>,
}

impl Trainer for FakeTrainer {
    fn train(&mut self, runs: &[RunSpec], observe: &mut dyn Observer) -> Vec<RunRecord> {
        let mut flow = Flow::Continue;
        let mut records = Vec::with_capacity(runs.len());
        for spec in runs {
            let record = if flow == Flow::Stop {
                RunRecord::empty(spec.clone(), RunEnd::Interrupted)
            } else {
                self.one(spec, observe).unwrap_or_else(|error| ended_by(spec, error, observe))
            };
            if record.end == RunEnd::Interrupted || observe.finished(&record) == Flow::Stop {
                flow = Flow::Stop;
            }
            records.push(record);
        }
        records
    }
}

impl FakeTrainer {
    fn one(&mut self, spec: &RunSpec, observe: &mut dyn Observer) -> Result<RunRecord, Error> {
        let fault = self.faults.get(&spec.ranks).cloned();
        if let Some(Fault::Fail(why)) = fault {
            return Ok(RunRecord::empty(spec.clone(), RunEnd::Failed { why }));
        }
        let id = spec.id();
        let mut state = self.restore(spec)?;
        let settled = |state: &State| {
            spec.stop_when_converged && has_converged(&state.val, spec.optim.decay_fraction == 0.0)
        };
        // Killed between the checkpoint of its end and its result, a run ends where it had ended.
        let before = state.val.last().filter(|point| point.step + 1 == state.step);
        if let Some(CurvePoint { step, .. }) = before.copied().filter(|_| settled(&state)) {
            return Ok(self.record(spec, State { step, ..state }, RunEnd::Converged));
        }
        let mut end = RunEnd::Finished;
        loop {
            let broken = matches!(fault, Some(Fault::Diverge(step)) if state.step >= step);
            let loss =
                if broken { f64::NAN } else { self.loss(spec, state.step) + state.draw() * self.noise };
            let point = CurvePoint { step: state.step, loss };
            let event = |stage| Progress {
                run: id.clone(),
                stage,
                step: point.step,
                steps: spec.steps,
                loss: Some(loss),
            };
            let mut flow = Flow::Continue;
            if state.step > 0 {
                state.train.push(point);
                flow = observe.progress(&event(Stage::Train));
            }
            let last = broken || state.step >= spec.steps;
            if last || spec.evaluates_at(state.step) {
                state.val.push(point);
                if observe.progress(&event(Stage::Evaluate)) == Flow::Stop {
                    flow = Flow::Stop;
                }
            }
            let converged = !last && settled(&state);
            let interrupted = flow == Flow::Stop && !last && !converged;
            let due = state.step > 0 && state.step.is_multiple_of(self.checkpoint_every);
            if !broken && (interrupted || last || due) {
                self.save(spec, &state)?;
            }
            if broken {
                end = RunEnd::Diverged { step: state.step };
            }
            if interrupted {
                end = RunEnd::Interrupted;
            }
            if converged {
                end = RunEnd::Converged;
            }
            if last || converged || interrupted {
                break;
            }
            state.step += 1;
            thread::sleep(self.step_time);
        }
        Ok(self.record(spec, state, end))
    }

    fn record(&self, spec: &RunSpec, state: State, end: RunEnd) -> RunRecord {
        let samples = (state.step * spec.batch) as u64;
        let trainable: u64 = spec
            .ranks
            .iter()
            .map(|(module, rank)| {
                rank as u64 * self.modules.get(module).map_or(0, |planted| planted.parameters)
            })
            .sum();
        RunRecord {
            val: state.val,
            train: state.train,
            tokens: 3 * samples,
            samples_seen: samples,
            flops: samples as f64 * (1e6 + 6.0 * trainable as f64),
            eval_flops: (0..=state.step).filter(|step| spec.evaluates_at(*step)).count() as f64 * 1e5,
            trainable,
            ..RunRecord::empty(spec.clone(), end)
        }
    }

    /// The planted loss after `step` steps.
    pub fn loss(&self, spec: &RunSpec, step: usize) -> f64 {
        let improvement = |(module, rank): (&str, usize)| {
            let planted = self.modules.get(module)?;
            let reach = planted.drop * (1.0 - 0.5 * (rank as f64).powf(-planted.alpha));
            let time = planted.time(rank, spec.samples);
            Some(reach * (1.0 - (-(10f64.ln()) * step as f64 / time).exp()))
        };
        self.base_loss - spec.ranks.iter().filter_map(improvement).sum::<f64>()
    }

    fn restore(&self, spec: &RunSpec) -> Result<State, Error> {
        let fresh =
            State { step: 0, noise: spec.seed ^ 0x9E37_79B9_7F4A_7C15, val: Vec::new(), train: Vec::new() };
        let Some(store) = &self.checkpoints else { return Ok(fresh) };
        // The state after the last step is not one to go on from when an odd last evaluation is in it.
        let stored = store.latest_at_or_below(&spec.lineage(), spec.steps.saturating_sub(1))?;
        let state = stored.and_then(|at| serde_json::from_slice::<State>(at.files.get("state.json")?).ok());
        Ok(state.map_or(fresh, |state| State { step: state.step + 1, ..state }))
    }

    fn save(&mut self, spec: &RunSpec, state: &State) -> Result<(), Error> {
        let Some(store) = &mut self.checkpoints else { return Ok(()) };
        let mut state = state.clone();
        state.val.retain(|point| spec.evaluates_at(point.step));
        let json = serde_json::to_vec(&state).expect("a state is JSON: numbers and lists of numbers");
        let files = BTreeMap::from([("state.json".to_owned(), json)]);
        store.save(&spec.lineage(), state.step, &files)
    }
}

impl State {
    /// Roughly normal noise with unit variance: the sum of four uniforms, from a multiplicative generator.
    fn draw(&mut self) -> f64 {
        let uniforms: f64 = (0..4)
            .map(|_| {
                self.noise = self
                    .noise
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (self.noise >> 11) as f64 / (1u64 << 53) as f64
            })
            .sum();
        (uniforms - 2.0) * 3f64.sqrt()
    }
}
