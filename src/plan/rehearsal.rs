//! What a policy would ask for, played against results as usual laws give them.

use crate::Error;
use mars_search::{Answer, Budget, Cost, Decision, PolicySpec, Role, Runner, Space, Trial, TrialResult};
use std::collections::BTreeMap;

/// Most evaluations of a run in a rehearsal: a race may be cut at each, and is played again at each cut.
const EVALUATIONS: usize = 256;

/// Evaluations of an alone run in a rehearsal where their interval is not known: enough to register it.
const CURVE: usize = 40;

/// A trial that a policy is expected to ask for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RehearsedTrial {
    /// The trial.
    pub trial: Trial,
    /// The optimizer step from which it trains: the end of the trial that it continues, otherwise 0, and always with a trainer that begins
    /// again.
    pub from: usize,
    /// How often the policy had waited for results before it asked for this one: 0 for what no measurement changes.
    pub round: usize,
}

/// A search as it is expected to go.
#[derive(Clone, Debug)]
pub(crate) struct Rehearsed {
    /// What the policy asks for, in that order.
    pub(crate) trials: Vec<RehearsedTrial>,
    /// The results that it was given.
    pub(crate) results: Vec<TrialResult>,
    /// What it decides by them.
    pub(crate) decision: Decision,
}

/// What a trial costs that trains from a step.
pub(crate) type Price<'a> = dyn Fn(&Trial, usize) -> Result<Cost, Error> + 'a;

/// The trials that `policy` would ask for if convergence times and losses followed laws with usual exponents, and costs were not
/// known: a policy with a cap counts steps then.
///
/// # Errors
/// When the policy cannot be built on `space` and `budget`, or cannot decide.
pub fn rehearse(policy: &PolicySpec, space: &Space, budget: &Budget) -> Result<Vec<RehearsedTrial>, Error> {
    Ok(rehearse_priced(policy, (space, budget), true, &|_, _| Ok(Cost::default()))?.trials)
}

/// The same where a trial costs what `price` says; `continues` says whether the trainer continues runs from checkpoints.
///
/// # Errors
/// Those of [`rehearse`] and of `price`.
pub(crate) fn rehearse_priced(
    policy: &PolicySpec,
    (space, budget): (&Space, &Budget),
    continues: bool,
    price: &Price<'_>,
) -> Result<Rehearsed, Error> {
    let budget = coarse(budget);
    let mut started = policy.build(space, &budget)?;
    let mut rehearsal = Rehearsal {
        reference: &space.reference,
        eval_every: budget.calibration.eval_every,
        price,
        continues,
        round: 0,
        reached: BTreeMap::new(),
        all: Vec::new(),
    };
    let (decision, results) = mars_search::search(&mut *started, &mut rehearsal)?.decided()?;
    Ok(Rehearsed { trials: rehearsal.all, results, decision })
}

/// Answers with results as usual laws give them, and keeps what was asked for.
struct Rehearsal<'a> {
    reference: &'a str,
    /// Optimizer steps between evaluations of calibration runs, 0 where it is not known.
    eval_every: usize,
    price: &'a Price<'a>,
    continues: bool,
    round: usize,
    reached: BTreeMap<u32, usize>,
    all: Vec<RehearsedTrial>,
}

impl Runner for Rehearsal<'_> {
    type Error = Error;

    fn run(&mut self, trials: &[Trial]) -> Result<Answer, Error> {
        let mut costs = Vec::with_capacity(trials.len());
        for trial in trials {
            let before = trial.continues.filter(|_| self.continues);
            let from = before.and_then(|id| self.reached.get(&id).copied()).unwrap_or(0);
            costs.push((self.price)(trial, from)?);
            self.reached.insert(trial.id, trial.steps);
            self.all.push(RehearsedTrial { trial: trial.clone(), from, round: self.round });
        }
        self.round += 1;
        // Runs of a calibration differ in their lengths; they have the same laws.
        let longest = trials.iter().map(|trial| trial.horizon).max().unwrap_or_default();
        let results = trials.iter().zip(costs).map(|(trial, cost)| {
            let every = match self.eval_every {
                0 => trial.horizon / CURVE,
                every => every.max(trial.horizon / EVALUATIONS),
            };
            let restarted = trial.continues.is_some() && !self.continues;
            TrialResult { restarted, ..usual_result(trial, longest, self.reference, (every.max(1), cost)) }
        });
        Ok(Answer::Results(results.collect()))
    }
}

/// The budget with no more than so many evaluations of a run that a race of any length is played in no time.
fn coarse(budget: &Budget) -> Budget {
    let fewer = budget.steps.div_ceil(EVALUATIONS).div_ceil(budget.eval_every.max(1)).max(1);
    Budget { eval_every: budget.eval_every.saturating_mul(fewer), ..budget.clone() }
}

/// Optimizer steps of all trials that `policy` is expected to ask for; `continues` says whether the trainer continues runs
/// from checkpoints.
pub(crate) fn rehearsed_steps(
    policy: &PolicySpec,
    space: &Space,
    budget: &Budget,
    continues: bool,
) -> Result<u64, Error> {
    let all = rehearse_priced(policy, (space, budget), continues, &|_, _| Ok(Cost::default()))?.trials;
    let steps = all.iter().map(|step| step.trial.steps.saturating_sub(step.from) as u64);
    Ok(steps.fold(0, u64::saturating_add))
}

/// A result as laws with usual exponents give it, with times in proportion to `longest` steps: gamma -0.33 for the reference
/// module, which in the paper is the language model, and -0.4 for others, which take a third longer at equal ranks. One and a third
/// to four times as long was measured; at four, balanced ranks lie outside of the candidates, and the race would not be counted.
/// An alone run is evaluated every so many steps; the trial has the cost.
fn usual_result(trial: &Trial, longest: usize, reference: &str, (every, cost): (usize, Cost)) -> TrialResult {
    let time = |(module, rank): (&str, usize)| {
        let (share, gamma) = if module == reference { (0.03, -0.33) } else { (0.04, -0.4) };
        share * longest as f64 * (rank as f64 / 8.0).powf(gamma) * (trial.samples as f64).powf(0.2)
    };
    let ranks: f64 = trial.ranks.iter().map(|(_, rank)| (rank as f64).powf(-0.1)).sum();
    let loss = 1.0 + ranks / (1.0 + trial.steps as f64);
    let result = TrialResult::finished(trial, vec![(0, 3.0), (trial.steps, loss)], cost);
    if trial.role == Role::Alone {
        let time: f64 = trial.ranks.iter().map(time).sum();
        let loss = |step: usize| 2.0 + 2.0 * (-(step as f64) * std::f64::consts::LN_10 / time).exp();
        let steps = (0..trial.steps).step_by(every).chain([trial.steps]);
        let val_curve = steps.map(|step| (step, loss(step))).collect();
        return TrialResult { val_curve, ..result.with_convergence(time) };
    }
    result
}

#[cfg(test)]
mod tests {
    use super::rehearse_priced;
    use mars_search::{Budget, CalibrationPlan, Cost, PolicySpec, Role, Space, Trial, run_cost};

    /// FLOPs of the embedded task, about: a forward pass of a sample, without adapters and for each of their parameters.
    const FORWARD: f64 = 25.6e6;
    const PARAMETER: f64 = 38.7;

    fn budget(steps: usize, eval_every: usize, window: usize, calibration: usize) -> Budget {
        let whole = Budget {
            eval_every,
            validation_samples: 256,
            training_losses: true,
            ..Budget::new(steps, 4096, 16)
        };
        let calibration = CalibrationPlan {
            ranks: vec![4, 8, 32],
            sizes: vec![256, 1024],
            steps: calibration,
            window: Some(window),
            eval_every: window.div_ceil(16),
            validation_samples: 48,
            ..whole.calibration.clone()
        };
        Budget { calibration, ..whole }
    }

    /// The cap of `guided` is one on FLOPs, of which high ranks take more, and its unit is the final run that it comes to.
    #[test]
    fn a_search_with_priced_runs_is_foreseen_within_its_cap() {
        let policy: PolicySpec = "guided".parse().unwrap_or_else(|error| panic!("{error}"));
        let mut space = Space::new(["ve", "llm"], "llm", &[4, 8, 16, 32]);
        space.parameters_per_rank = [("ve".to_owned(), 4608), ("llm".to_owned(), 6912)].into();
        for (steps, eval_every, window, calibration) in [
            (400, 20, 8, 14),
            (1500, 75, 10, 20),
            (3200, 160, 64, 112),
            (800, 40, 64, 112),
            (1000, 10, 32, 56),
        ] {
            let budget = budget(steps, eval_every, window, calibration);
            let price = |trial: &Trial, from: usize| {
                let alone = trial.role == Role::Alone;
                let (every, samples) =
                    if alone { (budget.calibration.eval_every, 48.0) } else { (eval_every, 256.0) };
                let evaluations = crate::plan::evaluations(trial, from, every) as f64;
                let adapters = PARAMETER * space.parameters(&trial.ranks) as f64;
                let flops = (trial.steps - from) as f64 * 16.0 * (2.0 * FORWARD + 3.0 * adapters);
                Ok(Cost { flops, eval_flops: evaluations * samples * (FORWARD + adapters), wall_s: 0.0 })
            };
            let foreseen = rehearse_priced(&policy, (&space, &budget), true, &price)
                .unwrap_or_else(|error| panic!("{steps}: {error}"));
            let total: f64 = foreseen.results.iter().map(|result| result.cost.total_flops()).sum();
            let unit = run_cost(&foreseen.results, foreseen.decision.trial).total_flops();
            assert!(
                foreseen.trials.iter().filter(|step| step.trial.role == Role::Race).count() > 1,
                "{steps}"
            );
            assert!((1.0..=1.39).contains(&(total / unit)), "{steps}: {}", total / unit);
        }
    }
}
