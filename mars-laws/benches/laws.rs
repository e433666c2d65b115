//! Time of fits, intervals and searches; `benches/compare.py` compares it with scipy and numpy.
#![allow(clippy::unwrap_used, missing_docs)]

#[path = "../tests/common/planted.rs"]
mod planted;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use mars_laws::{
    BootstrapOptions, ConvergenceObservation, Form, Law, LawCOptions, LawPForm, LawPOptions, Observations,
    Offset, PerformanceObservation, Ranks, best_ranks, fit_law_c, fit_law_p,
};
use std::collections::BTreeMap;

fn options(offset: Offset, draws: usize) -> LawCOptions {
    let bootstrap = BootstrapOptions { draws, ..BootstrapOptions::default() };
    LawCOptions { offset, bootstrap, ..LawCOptions::default() }
}

fn figure_2b() -> Vec<ConvergenceObservation> {
    let text = include_str!("../tests/fixtures/mars_fig2b_convergence.csv");
    Observations::from_csv(text).unwrap().convergence
}

/// Perplexities of a law with `modules` modules at 12 points for each of its parameters.
fn joint(form: Form, modules: usize) -> Vec<PerformanceObservation> {
    let law = LawPForm {
        form,
        modules: (0..modules).map(|m| format!("m{m}")).collect(),
        sized: true,
        offset: true,
    };
    let parameters: Vec<f64> = match form {
        Form::Overfit => {
            [vec![60.0], vec![0.1; modules], vec![0.45, 1.2, 0.02], vec![0.1; modules], vec![0.3]].concat()
        }
        _ => [vec![60.0], vec![0.1; modules], vec![0.5, 2.2]].concat(),
    };
    let mut draw = planted::Draw::new(7);
    let mut observe = |_| {
        let mut pick = |least: i32, many: f64| 1_usize << (least + (draw.uniform() * many) as i32);
        let ranks: Vec<usize> = (0..modules).map(|_| pick(2, 5.0)).collect();
        let samples = pick(8, 7.0);
        let input: Vec<f64> = ranks.iter().map(|r| *r as f64).chain([samples as f64]).collect();
        let perplexity = law.predict(&parameters, &input) * (0.01 * draw.normal()).exp();
        let ranks: Ranks = ranks.into_iter().enumerate().map(|(m, r)| (format!("m{m}"), r)).collect();
        PerformanceObservation::new(ranks, samples, perplexity)
    };
    (0..12 * parameters.len()).map(&mut observe).collect()
}

fn law_p(form: Form, modules: usize) -> mars_laws::LawPFit {
    let bootstrap = BootstrapOptions { draws: 0, ..BootstrapOptions::default() };
    fit_law_p(&joint(form, modules), form, &LawPOptions { bootstrap, ..LawPOptions::default() }).unwrap()
}

fn beside_scipy(c: &mut Criterion) {
    let data = figure_2b();
    let mut group = c.benchmark_group("beside_scipy");
    group.bench_function("joint_fit_28_points", |b| {
        b.iter(|| fit_law_c(&data, &options(Offset::Always, 0)).unwrap());
    });
    group.bench_function("bootstrap_1000_draws", |b| {
        b.iter(|| fit_law_c(&data, &options(Offset::Always, 1000)).unwrap());
    });
    let fit = law_p(Form::Overfit, 6);
    let ranks: Vec<usize> = vec![2, 4, 8, 12, 16, 24, 32, 48, 64, 128];
    let candidates: BTreeMap<String, Vec<usize>> = (0..6).map(|m| (format!("m{m}"), ranks.clone())).collect();
    group
        .bench_function("search_1e6_tuples", |b| b.iter(|| best_ranks(&fit, &candidates, 8192, 10).unwrap()));
    group.finish();
}

fn scaling(c: &mut Criterion) {
    let mut points = c.benchmark_group("law_c_by_points");
    for copies in [1, 2, 4, 8, 16] {
        let data: Vec<ConvergenceObservation> =
            (0..copies).flat_map(|i| planted::planted(60, 0.05, true, i).times[0].clone()).collect();
        let id = |name| BenchmarkId::new(name, data.len());
        points.bench_with_input(id("closed_form"), &data, |b, data| {
            b.iter(|| fit_law_c(data, &options(Offset::Never, 0)).unwrap());
        });
        points.bench_with_input(id("with_offset"), &data, |b, data| {
            b.iter(|| fit_law_c(data, &options(Offset::Always, 0)).unwrap());
        });
    }
    points.finish();
    let mut modules = c.benchmark_group("law_p_by_modules");
    for count in [1, 2, 3, 4] {
        let data = joint(Form::Published, count);
        let bootstrap = BootstrapOptions { draws: 0, ..BootstrapOptions::default() };
        let options = LawPOptions { bootstrap, ..LawPOptions::default() };
        modules.bench_with_input(BenchmarkId::new("published", count), &data, |b, data| {
            b.iter(|| fit_law_p(data, Form::Published, &options).unwrap());
        });
    }
    modules.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(std::time::Duration::from_millis(300))
        .measurement_time(std::time::Duration::from_millis(1500));
    targets = beside_scipy, scaling
}
criterion_main!(benches);
