//! What a policy would ask for, played against results as usual laws give them.

use crate::Error;
use mars_search::{Answer, Budget, Cost, PolicySpec, Role, Runner, Space, Trial, TrialResult};
use std::collections::BTreeMap;

/// Most evaluations of a run in a rehearsal: a race may be cut at each, and is played again at each cut.
const EVALUATIONS: usize = 256;

/// Evaluations of an alone run in a rehearsal: enough to register it.
const CURVE: usize = 40;

/// A trial that a policy is expected to ask for.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RehearsedTrial {
    /// The trial.
    pub trial: Trial,
    /// The optimizer step from which it trains: the end of the trial that it continues, otherwise 0.
    pub from: usize,
    /// How often the policy had waited for results before it asked for this one: 0 for what no measurement changes.
    pub round: usize,
}

/// The trials that `policy` would ask for if convergence times and losses followed laws with usual exponents.
///
/// # Errors
/// When the policy cannot be built on `space` and `budget`, or cannot decide.
pub fn rehearse(policy: &PolicySpec, space: &Space, budget: &Budget) -> Result<Vec<RehearsedTrial>, Error> {
    let mut started = policy.build(space, &coarse(budget))?;
    let mut rehearsal =
        Rehearsal { reference: &space.reference, round: 0, reached: BTreeMap::new(), all: Vec::new() };
    mars_search::search(&mut *started, &mut rehearsal)?;
    Ok(rehearsal.all)
}

/// Answers with results as usual laws give them, and keeps what was asked for.
struct Rehearsal<'a> {
    reference: &'a str,
    round: usize,
    reached: BTreeMap<u32, usize>,
    all: Vec<RehearsedTrial>,
}

impl Runner for Rehearsal<'_> {
    type Error = mars_search::Error;

    fn run(&mut self, trials: &[Trial]) -> Result<Answer, mars_search::Error> {
        for trial in trials {
            let from = trial.continues.and_then(|id| self.reached.get(&id).copied()).unwrap_or(0);
            self.reached.insert(trial.id, trial.steps);
            self.all.push(RehearsedTrial { trial: trial.clone(), from, round: self.round });
        }
        self.round += 1;
        // Runs of a calibration differ in their lengths; they have the same laws.
        let longest = trials.iter().map(|trial| trial.horizon).max().unwrap_or_default();
        let results = trials.iter().map(|trial| usual_result(trial, longest, self.reference));
        Ok(Answer::Results(results.collect()))
    }
}

/// The budget with no more than so many evaluations of a run that a race of any length is played in no time.
fn coarse(budget: &Budget) -> Budget {
    let every = budget.eval_every.max(budget.steps.div_ceil(EVALUATIONS));
    Budget { eval_every: if budget.eval_every == 0 { 0 } else { every }, ..budget.clone() }
}

/// Optimizer steps of all trials that `policy` is expected to ask for; `continues` says whether the trainer continues runs
/// from checkpoints.
pub(crate) fn rehearsed_steps(
    policy: &PolicySpec,
    space: &Space,
    budget: &Budget,
    continues: bool,
) -> Result<u64, Error> {
    let all = rehearse(policy, space, budget)?;
    let from = |step: &RehearsedTrial| if continues { step.from } else { 0 };
    let steps = all.iter().map(|step| step.trial.steps.saturating_sub(from(step)) as u64);
    Ok(steps.fold(0, u64::saturating_add))
}

/// A result as laws with usual exponents give it, with times in proportion to `longest` steps: gamma -0.33 for the reference
/// module, which in the paper is the language model, and -0.4 for others, which take a third longer at equal ranks. One and a third
/// to four times as long was measured; at four, balanced ranks lie outside of the candidates, and the race would not be counted.
fn usual_result(trial: &Trial, longest: usize, reference: &str) -> TrialResult {
    let time = |(module, rank): (&str, usize)| {
        let (share, gamma) = if module == reference { (0.03, -0.33) } else { (0.04, -0.4) };
        share * longest as f64 * (rank as f64 / 8.0).powf(gamma) * (trial.samples as f64).powf(0.2)
    };
    let ranks: f64 = trial.ranks.iter().map(|(_, rank)| (rank as f64).powf(-0.1)).sum();
    let loss = 1.0 + ranks / (1.0 + trial.steps as f64);
    let result = TrialResult::finished(trial, vec![(0, 3.0), (trial.steps, loss)], Cost::default());
    if trial.role == Role::Alone {
        let time: f64 = trial.ranks.iter().map(time).sum();
        let loss = |step: usize| 2.0 + 2.0 * (-(step as f64) * std::f64::consts::LN_10 / time).exp();
        let every = (trial.horizon / CURVE).max(1);
        let steps = (0..trial.steps).step_by(every).chain([trial.steps]);
        let val_curve = steps.map(|step| (step, loss(step))).collect();
        return TrialResult { val_curve, ..result.with_convergence(time) };
    }
    result
}
