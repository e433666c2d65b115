//! Is there one kappa for all tasks? Balance `t_ve = kappa t_llm` on the recorded suite, for many kappa.
//!
//! `cargo run --release --example kappa` prints, for each task and kappa, the regret of the best pair on the balanced
//! curve (the best that any policy can do with that kappa) and of the pair at the default rank of the reference, with laws
//! fitted on the task's own calibration runs and with exponents pooled over the other tasks; then what a kappa chosen on
//! the other tasks gives.
#![allow(clippy::print_stdout)]

use mars_laws::{
    BalanceOptions, BootstrapOptions, ConvergenceObservation, LawC, LawCOptions, Offset, Ranks, balance_laws,
    fit_law_c,
};
use mars_search::{RecordedRun, Recording};
use mars_testkit::suite::recordings;
use std::collections::BTreeMap;

const KAPPAS: [f64; 9] = [0.0625, 0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0];
const MODULES: [&str; 2] = ["ve", "llm"];

/// One task: its name, regret by cell, laws of both modules by seed, and its rank choices.
struct Task {
    recording: Recording,
    regret: BTreeMap<Ranks, f64>,
    laws: Vec<[Option<LawC>; 2]>,
}

impl Task {
    fn new(recording: Recording) -> Self {
        let mut cells: BTreeMap<Ranks, Vec<f64>> = BTreeMap::new();
        for cell in recording.grid() {
            cells.entry(cell.ranks).or_default().push(cell.test_perplexity);
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let best = cells.values().map(|values| mean(values)).fold(f64::INFINITY, f64::min);
        let regret = cells.into_iter().map(|(ranks, values)| (ranks, mean(&values) / best - 1.0)).collect();
        let laws = recording.seeds().into_iter().map(|seed| laws(&recording, seed)).collect();
        Self { recording, regret, laws }
    }

    /// The balanced pairs of seed `index`, one for each rank of the reference; `exponents` replace those of the fits.
    fn pairs(&self, index: usize, kappa: f64, exponents: Option<&[(f64, f64); 2]>) -> Vec<Ranks> {
        let [Some(ve), Some(llm)] = self.laws_with(index, exponents) else { return Vec::new() };
        let space = &self.recording.space;
        let options = BalanceOptions { kappa, candidates: space.ranks_of("ve"), ..BalanceOptions::default() };
        let pair = |rank: usize| {
            let balanced = balance_laws(&llm, rank, &ve, self.recording.budget.samples, &options);
            Ranks::new().with("ve", balanced.rank).with("llm", rank)
        };
        space.ranks_of("llm").into_iter().map(pair).collect()
    }

    fn laws_with(&self, index: usize, exponents: Option<&[(f64, f64); 2]>) -> [Option<LawC>; 2] {
        let Some(exponents) = exponents else { return self.laws[index] };
        let seed = self.recording.seeds()[index];
        [0, 1].map(|m| {
            let (gamma, delta) = exponents[m];
            let shape = LawC { k: 1.0, gamma, delta, offset: 0.0 };
            let logs: Vec<f64> = observations(&self.recording, seed, MODULES[m])
                .iter()
                .map(|o| (o.steps / shape.predict(o.rank as f64, o.samples as f64)).ln())
                .collect();
            let k = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
            k.is_finite().then_some(LawC { k, ..shape })
        })
    }

    /// Mean regret over the seeds: of the best pair on the curve, and of the pair at the default rank.
    fn regrets(&self, kappa: f64, exponents: Option<&[(f64, f64); 2]>) -> Option<[f64; 2]> {
        let default = self.recording.space.default_rank;
        let mut sums = [0.0; 2];
        for index in 0..self.laws.len() {
            let pairs = self.pairs(index, kappa, exponents);
            let best = pairs.iter().map(|ranks| self.regret[ranks]).fold(f64::INFINITY, f64::min);
            let middle = pairs.iter().find(|ranks| ranks.get("llm") == default)?;
            sums[0] += best;
            sums[1] += self.regret[middle];
        }
        Some(sums.map(|sum| sum / self.laws.len() as f64))
    }
}

fn observations(recording: &Recording, seed: u64, module: &str) -> Vec<ConvergenceObservation> {
    let seeds = recording.budget_of(seed).calibration.seeds;
    let own = |run: &&RecordedRun| {
        run.ranks.len() == 1 && run.ranks.get(module) > 0 && seeds.contains(&run.seed) && run.method.is_none()
    };
    let runs = recording.runs.iter().filter(own);
    runs.filter_map(|run| {
        Some(ConvergenceObservation::new(module, run.ranks.get(module), run.samples, run.convergence?))
    })
    .collect()
}

fn laws(recording: &Recording, seed: u64) -> [Option<LawC>; 2] {
    let bootstrap = BootstrapOptions { draws: 0, ..BootstrapOptions::default() };
    let options = LawCOptions { offset: Offset::Never, bootstrap, ..LawCOptions::default() };
    MODULES.map(|module| fit_law_c(&observations(recording, seed, module), &options).ok().map(|fit| fit.law))
}

/// Mean exponents of all tasks but one.
fn pooled(tasks: &[Task], without: usize) -> [(f64, f64); 2] {
    [0, 1].map(|m| {
        let others = tasks.iter().enumerate().filter(|(at, _)| *at != without);
        let fits: Vec<LawC> = others.flat_map(|(_, task)| task.laws.iter().filter_map(|l| l[m])).collect();
        let mean = |of: fn(&LawC) -> f64| fits.iter().map(of).sum::<f64>() / fits.len() as f64;
        (mean(|law| law.gamma), mean(|law| law.delta))
    })
}

fn row(name: &str, regrets: impl Iterator<Item = Option<[f64; 2]>>) {
    let cells: Vec<String> = regrets
        .map(|r| {
            r.map_or("      -      ".into(), |[best, middle]| {
                format!("{:5.1} / {:5.1}", 100.0 * best, 100.0 * middle)
            })
        })
        .collect();
    println!("{name:<16} {}", cells.join("  "));
}

fn main() {
    let tasks: Vec<Task> = recordings().into_iter().map(Task::new).collect();
    println!("exponents gamma, delta by seed");
    for task in &tasks {
        for (m, module) in MODULES.iter().enumerate() {
            let fits: Vec<String> = task
                .laws
                .iter()
                .map(|laws| laws[m].map_or("-".into(), |law| format!("{:6.2} {:5.2}", law.gamma, law.delta)))
                .collect();
            println!("{:<10} {module:<4} {}", task.recording.task, fits.join("   "));
        }
    }
    println!("\nregret in %, best on the curve / at the default rank of llm, by kappa");
    let kappas: Vec<String> = KAPPAS.iter().map(|kappa| format!("{kappa:^13}")).collect();
    println!("{:<16} {}", "", kappas.join("  "));
    for (at, task) in tasks.iter().enumerate() {
        row(&task.recording.task, KAPPAS.iter().map(|kappa| task.regrets(*kappa, None)));
        let exponents = pooled(&tasks, at);
        row("  pooled", KAPPAS.iter().map(|kappa| task.regrets(*kappa, Some(&exponents))));
    }
    println!(
        "\nat the default rank of llm: kappa = 1, and the kappa that is best on the other tasks (exponents pooled)"
    );
    for (at, task) in tasks.iter().enumerate() {
        let exponents = pooled(&tasks, at);
        let elsewhere = |kappa: f64| -> f64 {
            let others = tasks.iter().enumerate().filter(|(other, _)| *other != at);
            others.filter_map(|(_, other)| other.regrets(kappa, Some(&exponents))).map(|r| r[1]).sum()
        };
        let Some(kappa) = KAPPAS.into_iter().min_by(|a, b| elsewhere(*a).total_cmp(&elsewhere(*b))) else {
            continue;
        };
        let percent = |kappa: f64| task.regrets(kappa, Some(&exponents)).map_or(f64::NAN, |r| 100.0 * r[1]);
        println!("{:<10} {:5.1} %   {kappa}: {:5.1} %", task.recording.task, percent(1.0), percent(kappa));
    }
}
