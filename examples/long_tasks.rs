//! Policies on the recorded tasks of `benches/suite/long`, and what the laws and the race of `guided` are worth, each without the other.
//!
//! `cargo run --release --example long_tasks` prints for every task, and in the mean of all, the regret in %, its price in fine-tunes, and
//! by how much it is above that of `guided`: the difference is that of the same seeds, so that what seeds have in common drops out.
//! Standard errors are those over the seeds. Ablations of `guided`:
//!
//! - race alone: with a calibration that no cap pays for;
//! - laws alone: the ranks that calibration balances, without a race: the highest pair, or that of the default rank of `llm`; the
//!   default ranks where the gates refuse the laws.
#![allow(clippy::print_stdout)]

use mars_laws::Ranks;
use mars_search::{
    Candidate, CandidateSource, DecisionOutcome, Error, PolicySpec, Recording, Role, Score, fine_tunes,
    regret_table, replay, replayed_score,
};
use mars_testkit::suite::long_recordings;

/// `guided` comes first: the others are compared with it.
const KINDS: [&str; 14] = [
    "guided",
    "race alone",
    "laws alone, highest",
    "laws alone, default",
    "halving",
    "asha",
    "surface",
    "random:2",
    "paper",
    "fixed:4x4",
    "fixed:8x8",
    "fixed:16x16",
    "fixed:32x32",
    "grid",
];

fn main() -> Result<(), Error> {
    let mut means = [Row::default(); KINDS.len()];
    for recording in long_recordings() {
        let mut guided = Vec::new();
        for (kind, mean) in KINDS.into_iter().zip(&mut means) {
            let scores: Result<Vec<Score>, Error> =
                recording.seeds().into_iter().map(|seed| score(&recording, kind, seed)).collect();
            let regrets = Regrets::of(&recording, &scores?);
            if kind == "guided" {
                guided.clone_from(&regrets.by_seed);
            }
            let row = regrets.row(&guided);
            mean.add(row);
            println!("{:<14} {kind:<20} {}", recording.task, row.cells());
        }
    }
    for (kind, mean) in KINDS.into_iter().zip(means) {
        println!("{:<14} {kind:<20} {}", "mean", mean.mean().cells());
    }
    Ok(())
}

fn score(recording: &Recording, kind: &str, seed: u64) -> Result<Score, Error> {
    match kind {
        "race alone" => {
            let mut without = recording.clone();
            let plan = &mut without.budget.calibration;
            plan.steps = 1000 * recording.budget.steps;
            plan.window = Some(plan.steps / 2);
            replayed_score(&without, &"guided".parse()?, seed)
        }
        "laws alone, highest" | "laws alone, default" => laws_alone(recording, kind, seed),
        policy => replayed_score(recording, &policy.parse()?, seed),
    }
}

fn laws_alone(recording: &Recording, kind: &str, seed: u64) -> Result<Score, Error> {
    let space = &recording.space;
    let played = replay(recording, &"guided".parse()?, seed)?;
    let default = space.modules.iter().fold(Ranks::new(), |all, module| all.with(module, space.default_rank));
    let balanced = |one: &&Candidate| {
        one.source == CandidateSource::Balanced && one.outcome != Some(DecisionOutcome::Fallback)
    };
    let solved = || played.decision.candidates.iter().filter(balanced);
    let chosen = match kind {
        "laws alone, highest" => solved().max_by_key(|one| space.parameters(&one.ranks)),
        _ => solved().find(|one| one.ranks.get("llm") == space.default_rank),
    };
    let ranks = chosen.map_or(&default, |one| &one.ranks);
    let fixed: PolicySpec = format!("fixed:{ranks}").parse()?;
    let run = replayed_score(recording, &fixed, seed)?;
    let alone = played.results.iter().filter(|result| result.trial.role == Role::Alone);
    Ok(Score { cost: run.cost + alone.map(|result| result.cost).sum(), ..run })
}

/// Of one policy on one task.
struct Regrets {
    /// In %, against the best cell in the mean of its seeds.
    by_seed: Vec<f64>,
    /// In fine-tunes, mean over the seeds.
    price: f64,
}

impl Regrets {
    fn of(recording: &Recording, scores: &[Score]) -> Self {
        let best = regret_table(scores, &recording.grid()).best.map_or(f64::NAN, |cell| cell.perplexity);
        let price = |score: &Score| fine_tunes(&score.cost, &score.final_run).unwrap_or(f64::NAN);
        Self {
            by_seed: scores.iter().map(|score| 100.0 * (score.test_perplexity / best - 1.0)).collect(),
            price: scores.iter().map(price).sum::<f64>() / scores.len() as f64,
        }
    }

    fn row(&self, guided: &[f64]) -> Row {
        let above: Vec<f64> = self.by_seed.iter().zip(guided).map(|(own, guided)| own - guided).collect();
        let ((regret, variance), (above, above_variance)) = (mean(&self.by_seed), mean(&above));
        Row { tasks: 1.0, regret, variance, above, above_variance, price: self.price }
    }
}

/// The mean, and its variance.
fn mean(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, squares / (count - 1.0) / count)
}

/// Sums over tasks.
#[derive(Clone, Copy, Default)]
struct Row {
    tasks: f64,
    regret: f64,
    variance: f64,
    above: f64,
    above_variance: f64,
    price: f64,
}

impl Row {
    fn add(&mut self, task: Self) {
        self.tasks += task.tasks;
        self.regret += task.regret;
        self.variance += task.variance;
        self.above += task.above;
        self.above_variance += task.above_variance;
        self.price += task.price;
    }

    fn mean(self) -> Self {
        let Self { tasks, regret, variance, above, above_variance, price } = self;
        Self {
            tasks: 1.0,
            regret: regret / tasks,
            variance: variance / tasks.powi(2),
            above: above / tasks,
            above_variance: above_variance / tasks.powi(2),
            price: price / tasks,
        }
    }

    fn cells(&self) -> String {
        let Self { regret, variance, above, above_variance, price, .. } = self;
        let [error, above_error] = [variance, above_variance].map(|variance| variance.sqrt());
        format!("{regret:7.2} ({error:.2}) at {price:5.2}, above guided {above:7.2} ({above_error:.2})")
    }
}
