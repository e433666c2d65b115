//! A simulated task: results as a pure function of the trial, and a driver that checks every question.

use mars_laws::Ranks;
use mars_search::{
    Budget, CalibrationPlan, Cost, Decision, Error, PolicySpec, Role, Space, Trial, TrialEnd, TrialResult,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
};

/// Law-C of a simulated module: k, gamma, delta, offset.
pub(crate) type Planted = (f64, f64, f64, f64);

type Floor = Box<dyn Fn(&Ranks, usize) -> f64>;
type Death = Box<dyn Fn(&Trial) -> Option<TrialEnd>>;

/// What training would give.
pub(crate) struct Task {
    /// Convergence of each module alone.
    pub(crate) laws: BTreeMap<String, Planted>,
    /// Loss a choice of ranks would reach, by ranks and samples.
    pub(crate) floor: Floor,
    /// Time constants of a curve in a whole run.
    pub(crate) speed: f64,
    /// Standard deviation of the noise on losses and on log convergence times.
    pub(crate) noise: f64,
    /// How a trial dies, for those that do.
    pub(crate) death: Death,
}

impl Task {
    pub(crate) fn new(floor: impl Fn(&Ranks, usize) -> f64 + 'static) -> Self {
        let laws = BTreeMap::from([
            ("ve".to_owned(), (9.0, -0.4, 0.6, 1.0)),
            ("llm".to_owned(), (6.0, -0.33, 0.68, 4.0)),
        ]);
        Self { laws, floor: Box::new(floor), speed: 4.0, noise: 0.0, death: Box::new(|_| None) }
    }

    pub(crate) fn noisy(mut self, noise: f64) -> Self {
        self.noise = noise;
        self
    }

    pub(crate) fn dying(mut self, death: impl Fn(&Trial) -> Option<TrialEnd> + 'static) -> Self {
        self.death = Box::new(death);
        self
    }

    /// Loss after `step` steps: curves fall exponentially and never cross.
    pub(crate) fn loss(&self, trial: &Trial, step: usize) -> f64 {
        let floor = (self.floor)(&trial.ranks, trial.samples);
        let left = (-self.speed * step as f64 / trial.horizon as f64).exp();
        floor + (5.0 - floor) * left + self.noise * normal(trial, step as u64)
    }

    /// The last loss by eight blocks, which scatter so that the standard error of their mean is the noise.
    fn blocks(&self, trial: &Trial) -> Vec<f64> {
        let scatter: Vec<f64> = (0..8)
            .map(|b| 8.0_f64.sqrt() * self.noise * normal(trial, (trial.steps * 8 + b + 1000) as u64))
            .collect();
        let mean = scatter.iter().sum::<f64>() / 8.0;
        scatter.iter().map(|own| self.loss(trial, trial.steps) + own - mean).collect()
    }

    /// The same run gives the same numbers, straight or continued, whatever its id.
    pub(crate) fn train(&self, trial: &Trial, before: usize, batch: usize) -> TrialResult {
        let every = (trial.horizon / 8).max(1);
        let mut steps: Vec<usize> = (0..trial.steps).step_by(every).collect();
        steps.push(trial.steps);
        steps.retain(|step| *step == 0 || *step >= trial.evaluate_from);
        let val_curve: Vec<_> = steps.iter().map(|&step| (step, self.loss(trial, step))).collect();
        let (mut convergence, mut censored) = (None, None);
        if let (Role::Alone, Some(module)) = (trial.role, trial.ranks.modules().next()) {
            let (k, gamma, delta, offset) = self.laws[module];
            let rank = trial.ranks.get(module) as f64;
            let t = k * rank.powf(gamma) * (trial.samples as f64).powf(delta) + offset;
            let t = t * (self.noise * normal(trial, u64::MAX)).exp();
            if t > 0.95 * trial.steps as f64 {
                censored = Some("the run is too short".to_owned());
            } else {
                convergence = Some(t);
            }
        }
        let flops = ((trial.steps - before) * batch) as f64 * 1e6;
        let evals = steps.iter().filter(|&&step| step > before || before == 0).count();
        TrialResult {
            trial: trial.clone(),
            val_curve,
            blocks: self.blocks(trial),
            convergence,
            censored,
            end: (self.death)(trial).unwrap_or(TrialEnd::Finished),
            cost: Cost { flops, eval_flops: evals as f64 * 1e5, wall_s: flops / 1_073_741_824.0 },
        }
    }
}

/// A standard normal draw that depends on what the run is, not on its id or on what it continues.
fn normal(trial: &Trial, salt: u64) -> f64 {
    let mut hash = DefaultHasher::new();
    (&trial.ranks, trial.samples, trial.seed, trial.horizon, salt).hash(&mut hash);
    let mut rng = ChaCha8Rng::seed_from_u64(hash.finish());
    let (radius, angle): (f64, f64) = (1.0 - rng.random::<f64>(), rng.random());
    (-2.0 * radius.ln()).sqrt() * (std::f64::consts::TAU * angle).cos()
}

/// Two modules with four candidate ranks each, default 16, `ve` at twice the parameters of `llm`.
pub(crate) fn space() -> Space {
    let ranks = vec![8, 16, 32, 64];
    Space {
        modules: vec!["ve".to_owned(), "llm".to_owned()],
        reference: "llm".to_owned(),
        candidates: BTreeMap::from([("ve".to_owned(), ranks.clone()), ("llm".to_owned(), ranks)]),
        default_rank: 16,
        parameters_per_rank: BTreeMap::from([("ve".to_owned(), 200), ("llm".to_owned(), 100)]),
    }
}

/// `modules` modules named `llm`, `m1`, `m2`, ... with `ranks` each.
pub(crate) fn wide_space(modules: usize, ranks: &[usize]) -> Space {
    let names: Vec<String> =
        (0..modules).map(|i| if i == 0 { "llm".to_owned() } else { format!("m{i}") }).collect();
    Space {
        candidates: names.iter().map(|name| (name.clone(), ranks.to_vec())).collect(),
        modules: names,
        reference: "llm".to_owned(),
        default_rank: 16,
        parameters_per_rank: BTreeMap::new(),
    }
}

pub(crate) fn budget() -> Budget {
    Budget {
        eval_every: 1,
        validation_samples: 1,
        steps: 320,
        samples: 4096,
        batch: 16,
        seed: 1,
        calibration: CalibrationPlan {
            ranks: vec![8, 16, 32, 64],
            sizes: vec![128, 256, 512, 1024],
            steps: 4000,
            seeds: vec![1, 2],
            joint: 8,
        },
    }
}

pub(crate) fn ve_llm(ve: usize, llm: usize) -> Ranks {
    Ranks::new().with("ve", ve).with("llm", llm)
}

/// How a policy went.
pub(crate) struct Played {
    pub(crate) decision: Decision,
    pub(crate) results: Vec<TrialResult>,
}

/// Runs a policy to its end and checks every question on the way.
pub(crate) fn play(name: &str, space: &Space, budget: &Budget, task: &Task) -> Result<Played, Error> {
    let spec: PolicySpec = name.parse().unwrap();
    play_in_order(&spec, space, budget, task, |trials| trials)
}

/// The same, with the results told in an order and in portions of the caller's choosing.
pub(crate) fn play_in_order(
    spec: &PolicySpec,
    space: &Space,
    budget: &Budget,
    task: &Task,
    order: impl Fn(Vec<TrialResult>) -> Vec<TrialResult>,
) -> Result<Played, Error> {
    let mut policy = spec.build(space, budget)?;
    assert_eq!(policy.name(), spec.to_string());
    let mut seen: BTreeMap<u32, TrialResult> = BTreeMap::new();
    for round in 0.. {
        assert!(round < 200, "{spec} does not end");
        let trials = policy.ask();
        assert_eq!(trials, policy.ask(), "asking again gives the same trials");
        if trials.is_empty() {
            break;
        }
        assert!(policy.decision().is_none(), "a decided policy asks for nothing");
        let results: Vec<_> = trials
            .iter()
            .map(|trial| {
                check(trial, spec, space, budget, &seen);
                task.train(trial, trial.continues.map_or(0, |id| seen[&id].trial.steps), budget.batch)
            })
            .collect();
        seen.extend(results.iter().map(|result| (result.trial.id, result.clone())));
        for portion in order(results).chunks(3) {
            policy.tell(portion)?;
        }
    }
    let decision = policy.decision().unwrap();
    let results = policy.results();
    // As text, so that a planted NaN equals itself.
    let told: Vec<_> = seen.into_values().collect();
    assert!(format!("{results:?}") == format!("{told:?}"), "every result is kept");
    check_decision(&decision, &results, budget);
    Ok(Played { decision, results })
}

fn check(
    trial: &Trial,
    spec: &PolicySpec,
    space: &Space,
    budget: &Budget,
    seen: &BTreeMap<u32, TrialResult>,
) {
    assert!(!seen.contains_key(&trial.id), "trial ids are used once");
    assert!(0 < trial.steps && trial.steps <= trial.horizon, "{trial:?}");
    assert!(0 < trial.samples && trial.samples <= budget.samples, "{trial:?}");
    assert!(!trial.ranks.is_empty(), "{trial:?}");
    for (module, rank) in trial.ranks.iter() {
        assert!(space.modules.iter().any(|known| known == module), "{trial:?}");
        let calibrates = matches!(trial.role, Role::Alone | Role::Joint);
        let legal = if calibrates {
            budget.calibration.ranks.contains(&rank)
        } else {
            space.candidates[module].contains(&rank) || rank == space.default_rank
        };
        assert!(legal || matches!(spec, PolicySpec::Fixed(_)), "{trial:?}");
    }
    match trial.role {
        Role::Alone => assert_eq!(trial.ranks.len(), 1),
        Role::Joint => assert_eq!(trial.ranks.len(), space.modules.len()),
        Role::Race | Role::Final => {
            assert_eq!(
                (trial.samples, trial.horizon, trial.seed),
                (budget.samples, budget.steps, budget.seed)
            );
        }
    }
    if let Some(before) = trial.continues {
        let before = &seen[&before];
        assert!(before.last_loss().is_some(), "only a living trial is continued");
        let same = Trial { steps: before.trial.steps, ..trial.clone() };
        let same = Trial { id: before.trial.id, continues: before.trial.continues, ..same };
        assert_eq!(before.trial, same, "a continued trial differs in its steps only");
        assert!(before.trial.steps < trial.steps, "{trial:?}");
    }
}

fn check_decision(decision: &Decision, results: &[TrialResult], budget: &Budget) {
    let chosen = results.iter().find(|result| result.trial.id == decision.trial).unwrap();
    assert_eq!(chosen.trial.ranks, decision.ranks);
    assert_eq!(chosen.trial.steps, budget.steps, "the winner is trained in full");
    assert!(chosen.last_loss().is_some(), "a dead trial is never chosen");
    assert!(decision.reason.ends_with('.'), "{}", decision.reason);
    let winner: Vec<_> =
        decision.candidates.iter().filter(|candidate| candidate.trial == Some(decision.trial)).collect();
    assert_eq!(winner.len(), 1, "the winner is one of the candidates");
    assert_eq!(winner[0].ranks, decision.ranks);
    assert_eq!(winner[0].last_loss, chosen.last_loss());
    assert_eq!(winner[0].dropped_at, None);
}
