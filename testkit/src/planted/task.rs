//! A task, and what a trial on it gives.

use super::noise::normal;
use mars_laws::Ranks;
use mars_search::{Cost, Role, Trial, TrialEnd, TrialResult};
use std::collections::BTreeMap;

/// Law-C of a module, `t = k r^gamma D^delta + offset`, as (k, gamma, delta, offset): steps until a run on `D` samples
/// with rank `r` has converged.
pub type Planted = (f64, f64, f64, f64);

type Floor = Box<dyn Fn(&Ranks, usize) -> f64>;
type Price = Box<dyn Fn(&Ranks) -> f64>;
type Death = Box<dyn Fn(&Trial) -> Option<TrialEnd>>;

/// What training would give. Perplexities are `exp` of the losses; steps count from 0.
pub struct Task {
    /// Convergence of each module alone, by its name.
    pub laws: BTreeMap<String, Planted>,
    /// The loss that a choice of ranks would reach in an endless run, by ranks and samples.
    pub floor: Floor,
    /// Time constants of a curve in a whole run; 4 unless set otherwise.
    pub speed: f64,
    /// Standard deviation of the noise on losses and on log convergence times; 0 unless set otherwise.
    pub noise: f64,
    /// What a sample of training costs at some ranks, in Mflop; 1 unless set otherwise. An evaluation costs a tenth.
    pub price: Price,
    /// How a trial dies, for those that do; none unless set otherwise.
    pub death: Death,
    /// Optimizer steps between evaluations of alone runs, whose losses then are one curve shifted in log time, at 90 % of its
    /// fall at the convergence time. `None`, unless set otherwise: as other runs.
    pub registers: Option<usize>,
}

impl Task {
    /// Two modules, `ve` and `llm`, without noise and deaths; `floor` gives the loss by ranks and samples.
    pub fn new(floor: impl Fn(&Ranks, usize) -> f64 + 'static) -> Self {
        let laws = BTreeMap::from([
            ("ve".to_owned(), (9.0, -0.4, 0.6, 1.0)),
            ("llm".to_owned(), (6.0, -0.33, 0.68, 4.0)),
        ]);
        Self {
            laws,
            floor: Box::new(floor),
            speed: 4.0,
            noise: 0.0,
            price: Box::new(|_| 1.0),
            death: Box::new(|_| None),
            registers: None,
        }
    }

    /// With noise of this standard deviation.
    pub fn noisy(mut self, noise: f64) -> Self {
        self.noise = noise;
        self
    }

    /// With alone runs that are evaluated every so many steps and can be registered, and with training losses.
    pub fn registering(mut self, every: usize) -> Self {
        self.registers = Some(every);
        self
    }

    /// With ranks that cost so much, in Mflop for a sample.
    pub fn priced(mut self, price: impl Fn(&Ranks) -> f64 + 'static) -> Self {
        self.price = Box::new(price);
        self
    }

    /// With trials that die where `death` says how.
    pub fn dying(mut self, death: impl Fn(&Trial) -> Option<TrialEnd> + 'static) -> Self {
        self.death = Box::new(death);
        self
    }

    /// Loss after `step` steps: curves fall exponentially from 5 to their floor and never cross.
    pub fn loss(&self, trial: &Trial, step: usize) -> f64 {
        if let (Role::Alone, Some(_)) = (trial.role, self.registers) {
            let left = (-(step as f64) * 10_f64.ln() / self.time(trial)).exp();
            return 2.0 + 3.0 * left + self.noise * normal(trial, step as u64);
        }
        let floor = (self.floor)(&trial.ranks, trial.samples);
        let left = (-self.speed * step as f64 / trial.horizon as f64).exp();
        floor + (5.0 - floor) * left + self.noise * normal(trial, step as u64)
    }

    /// The convergence time of a module alone, without noise; NaN where several are adapted or no law is planted.
    fn time(&self, trial: &Trial) -> f64 {
        let law =
            trial.ranks.modules().next().and_then(|module| self.laws.get(module).map(|law| (module, law)));
        law.map_or(f64::NAN, |(module, (k, gamma, delta, offset))| {
            let rank = trial.ranks.get(module) as f64;
            k * rank.powf(*gamma) * (trial.samples as f64).powf(*delta) + offset
        })
    }

    /// The training losses up to a step: those of validation, with a noise that all trials share.
    fn train_curve(&self, trial: &Trial) -> Vec<(usize, f64)> {
        let shared = Trial {
            id: 0,
            ranks: Ranks::new(),
            evaluate_from: 0,
            continues: None,
            steps: 0,
            ..trial.clone()
        };
        let own = |step: usize| {
            let noise = normal(&shared, step as u64) - normal(trial, step as u64) * 0.5;
            (step, self.loss(trial, step) + self.noise * noise)
        };
        (1..=trial.steps).map(own).collect()
    }

    /// The loss after `step` steps by eight blocks, which scatter so that the standard error of their mean is the noise.
    fn blocks(&self, trial: &Trial, step: usize) -> Vec<f64> {
        let scatter: Vec<f64> = (0..8)
            .map(|b| 8.0_f64.sqrt() * self.noise * normal(trial, (step * 8 + b + 1000) as u64))
            .collect();
        let mean = scatter.iter().sum::<f64>() / 8.0;
        scatter.iter().map(|own| self.loss(trial, step) + own - mean).collect()
    }

    /// The result of a trial that continues from step `before` (0 for a new one) with `batch` samples a step. It is
    /// evaluated eight times in its horizon, and costs its price for each sample.
    ///
    /// The same run gives the same numbers, straight or continued, whatever its id.
    ///
    /// # Panics
    /// When a module is trained alone for which no law is planted.
    pub fn train(&self, trial: &Trial, before: usize, batch: usize) -> TrialResult {
        let alone = self.registers.filter(|_| trial.role == Role::Alone);
        let every = alone.unwrap_or((trial.horizon / 8).max(1));
        let mut steps: Vec<usize> = (0..trial.steps).step_by(every).collect();
        steps.push(trial.steps);
        steps.retain(|step| *step == 0 || *step >= trial.evaluate_from);
        let val_curve: Vec<_> = steps.iter().map(|&step| (step, self.loss(trial, step))).collect();
        let (mut convergence, mut censored) = (None, None);
        if trial.role == Role::Alone {
            let t = self.time(trial);
            assert!(!t.is_nan(), "a law is planted for {}", trial.ranks);
            let t = t * (self.noise * normal(trial, u64::MAX)).exp();
            if t > 0.95 * trial.steps as f64 {
                censored = Some("the run is too short".to_owned());
            } else {
                convergence = Some(t);
            }
        }
        let price = 1e6 * (self.price)(&trial.ranks);
        let flops = ((trial.steps - before) * batch) as f64 * price;
        let evals = steps.iter().filter(|&&step| step > before || before == 0).count();
        TrialResult {
            trial: trial.clone(),
            val_curve,
            blocks: self.blocks(trial, trial.steps),
            earlier_blocks: steps[..steps.len() - 1]
                .iter()
                .map(|&step| (step, self.blocks(trial, step)))
                .collect(),
            kept: None,
            train_curve: match (self.registers, trial.role) {
                (Some(_), Role::Race | Role::Final) => self.train_curve(trial),
                _ => Vec::new(),
            },
            convergence,
            censored,
            end: (self.death)(trial).unwrap_or(TrialEnd::Finished),
            restarted: false,
            cost: Cost { flops, eval_flops: evals as f64 * 0.1 * price, wall_s: flops / 1_073_741_824.0 },
        }
    }
}
