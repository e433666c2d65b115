//! What policies cost by themselves, and search against grid search, both on the recorded runs of the suite.
//!
//! `cargo bench --bench policies` first prints, for every recorded task, regret and price in fine-tunes (means over the
//! seeds), then measures the arithmetic of whole searches: `ask`, `tell`, fits and decisions, without training.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use mars_search::{PolicySpec, Recording, regret_table, replay, replayed_score};
use mars_testkit::suite::{long_recordings, recordings};
use std::hint::black_box;

const POLICIES: [&str; 8] =
    ["guided", "halving", "asha", "surface", "paper", "fixed:16x16", "random:2", "grid"];

/// Search against grid search: a line for each task and policy.
#[allow(clippy::print_stdout)]
fn against_grid(recordings: &[Recording], policies: &[PolicySpec]) {
    println!("{:<10} {:<12} {:>9} {:>11}", "task", "policy", "regret", "fine-tunes");
    for recording in recordings {
        let scores: Vec<_> = recording
            .seeds()
            .into_iter()
            .flat_map(|seed| policies.iter().map(move |policy| (policy, seed)))
            .filter_map(|(policy, seed)| replayed_score(recording, policy, seed).ok())
            .collect();
        for row in regret_table(&scores, &recording.grid()).policies {
            let percent = row.regret.map_or("-".into(), |regret| format!("{:.2} %", 100.0 * regret));
            let price = row.fine_tunes.map_or("-".into(), |cost| format!("{cost:.2}"));
            println!("{:<10} {:<12} {percent:>9} {price:>11}", recording.task, row.policy);
        }
    }
}

fn policies(criterion: &mut Criterion) {
    let recordings = recordings();
    let policies: Vec<PolicySpec> =
        POLICIES.iter().map(|name| name.parse().unwrap_or_else(|error| panic!("{error}"))).collect();
    against_grid(&recordings, &policies);
    against_grid(&long_recordings(), &policies);
    let mut group = criterion.benchmark_group("search");
    group.sample_size(20);
    for recording in recordings.iter().take(1) {
        for policy in &policies {
            if replay(recording, policy, recording.budget.seed).is_ok() {
                group.bench_function(BenchmarkId::new(policy.to_string(), &recording.task), |bencher| {
                    bencher.iter(|| replay(black_box(recording), policy, recording.budget.seed));
                });
            }
        }
    }
    group.finish();
}

criterion_group!(benches, policies);
criterion_main!(benches);
