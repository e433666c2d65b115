//! What the laws and the race of `guided` are worth, each without the other, on the recorded tasks of `benches/suite/long`.
//!
//! `cargo run --release --example ablations` prints the regret in %, its standard deviation over the seeds and the price in fine-tunes:
//!
//! - laws and race: `guided` as it is;
//! - race alone: `guided` with a calibration that no cap pays for;
//! - laws alone: the ranks that calibration balances, without a race: the highest pair, or that of the default rank of `llm`; the
//!   default ranks where the gates refuse the laws.
//!
//! Then the mean over the tasks with its standard error over the seeds.
#![allow(clippy::print_stdout)]

use mars_laws::Ranks;
use mars_search::{
    Candidate, CandidateSource, DecisionOutcome, Error, PolicySpec, PolicySummary, Recording, Role, Score,
    regret_table, replay, replayed_score,
};
use mars_testkit::suite::long_recordings;

const KINDS: [&str; 4] = ["laws and race", "race alone", "laws alone, highest", "laws alone, default"];

fn main() -> Result<(), Error> {
    let mut sums = [Sums::default(); KINDS.len()];
    for recording in long_recordings() {
        for (kind, sum) in KINDS.into_iter().zip(&mut sums) {
            let own: Result<Vec<Score>, Error> =
                recording.seeds().into_iter().map(|seed| score(&recording, kind, seed)).collect();
            for row in regret_table(&own?, &recording.grid()).policies {
                sum.add(&row);
                println!("{:<14} {kind:<20} {}", recording.task, cells(&row));
            }
        }
    }
    for (kind, sum) in KINDS.into_iter().zip(sums) {
        println!("{:<14} {kind:<20} {}", "mean", sum.cells());
    }
    Ok(())
}

fn score(recording: &Recording, kind: &str, seed: u64) -> Result<Score, Error> {
    let guided = PolicySpec::Guided(mars_search::GuidedOptions::default());
    let score = match kind {
        "laws and race" => replayed_score(recording, &guided, seed)?,
        "race alone" => {
            let mut without = recording.clone();
            let plan = &mut without.budget.calibration;
            plan.steps = 1000 * recording.budget.steps;
            plan.window = Some(plan.steps);
            replayed_score(&without, &guided, seed)?
        }
        _ => laws_alone(recording, &guided, kind, seed)?,
    };
    Ok(Score { policy: kind.to_owned(), ..score })
}

fn laws_alone(recording: &Recording, guided: &PolicySpec, kind: &str, seed: u64) -> Result<Score, Error> {
    let space = &recording.space;
    let played = replay(recording, guided, seed)?;
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

fn cells(row: &PolicySummary) -> String {
    let [regret, sd] = [row.regret, row.regret_sd].map(|value| 100.0 * value.unwrap_or(f64::NAN));
    format!("{regret:6.2} ({sd:.2}) at {:.2}", row.fine_tunes.unwrap_or(f64::NAN))
}

/// Over the tasks.
#[derive(Clone, Copy, Default)]
struct Sums {
    tasks: f64,
    regret: f64,
    /// Of the means over the seeds.
    variance: f64,
    price: f64,
}

impl Sums {
    fn add(&mut self, row: &PolicySummary) {
        self.tasks += 1.0;
        self.regret += row.regret.unwrap_or(f64::NAN);
        self.variance += row.regret_sd.unwrap_or(f64::NAN).powi(2) / row.seeds as f64;
        self.price += row.fine_tunes.unwrap_or(f64::NAN);
    }

    fn cells(&self) -> String {
        let Self { tasks, regret, variance, price } = self;
        let error = 100.0 * variance.sqrt() / tasks;
        format!("{:6.2}, standard error {error:.2}, at {:.2}", 100.0 * regret / tasks, price / tasks)
    }
}
