//! Planted laws are recovered: exactly without noise, and with noise as well as by scipy.
#![allow(clippy::unwrap_used)]
#[path = "common/planted.rs"]
mod draws;

use draws::{Planted, planted};
use mars_laws::*;
use rayon::prelude::*;

fn options(offset: Offset, draws: usize) -> LawCOptions {
    let bootstrap = BootstrapOptions { draws, ..BootstrapOptions::default() };
    LawCOptions { offset, bootstrap, ..LawCOptions::default() }
}

/// No fit of the oracle (`oracle/planted.py`) has a lower cost, and where E is determined the parameters agree.
#[test]
fn as_good_as_scipy_on_the_same_data() {
    let mut compared = 0;
    for line in include_str!("fixtures/planted_scipy.csv").lines().skip(2) {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |i: usize| -> f64 { cells[i].parse().unwrap() };
        let (points, noise, index) = (cells[0].parse().unwrap(), number(1), cells[2].parse().unwrap());
        let Planted { llm, ve, times } = planted(points, noise, true, index);
        let (truth, data) = if cells[3] == "llm" { (llm, &times[0]) } else { (ve, &times[1]) };
        let fit = fit_law_c(data, &options(Offset::Always, 0)).unwrap();
        let found = [fit.law.k, fit.law.gamma, fit.law.delta, fit.law.offset];
        let wanted = [number(4), number(5), number(6), number(7)];
        assert!(fit.fit.cost <= number(8) * (1.0 + 1e-9) + 1e-24, "{line}: cost {}", fit.fit.cost);
        if noise == 0.0 {
            let planted = [truth.k, truth.gamma, truth.delta, truth.offset];
            for (a, b) in found.iter().zip(planted) {
                assert!((a / b - 1.0).abs() <= 1e-10, "{line}: {a} {b}");
            }
        }
        let least = data.iter().map(|o| o.steps).fold(f64::INFINITY, f64::min);
        if number(7) > 1e-3 * least {
            compared += 1;
            for (a, b) in found.iter().zip(wanted) {
                assert!((a / b - 1.0).abs() <= 1e-5, "{line}: {a} {b}");
            }
        }
    }
    assert!(compared > 150, "only {compared} fits had an offset to compare");
}

/// Share of 95 % intervals that contain the true value; the full table is docs/results/laws-coverage.md.
#[test]
fn intervals_have_their_nominal_coverage() {
    const DRAWS: u64 = 240;
    for (points, offset) in
        [(12, Offset::Never), (12, Offset::Always), (28, Offset::Never), (28, Offset::Always)]
    {
        let hits: Vec<[bool; 4]> = (0..DRAWS)
            .into_par_iter()
            .map(|index| {
                let truth = planted(points, 0.05, offset == Offset::Always, index);
                let fit = |i: usize| {
                    let mut options = options(offset, 200);
                    options.bootstrap.seed = 2 * index + i as u64;
                    fit_law_c(&truth.times[i], &options).unwrap()
                };
                let (llm, ve) = (fit(0), fit(1));
                let rank = solve_rank(&truth.llm, 16.0, &truth.ve, 1024.0, 1.0).unwrap();
                let wide = BalanceOptions { level: 0.95, ..BalanceOptions::default() };
                let interval = balance(&llm, 16, &ve, 1024, &wide).interval.unwrap();
                let prediction = |law: &LawC| law.predict(16.0, 4096.0);
                [
                    ve.interval["gamma"].contains(truth.ve.gamma),
                    ve.interval["delta"].contains(truth.ve.delta),
                    ve.interval_of(0.95, prediction).contains(prediction(&truth.ve)),
                    interval.contains(rank),
                ]
            })
            .collect();
        for i in 0..4 {
            let share = hits.iter().filter(|h| h[i]).count() as f64 / DRAWS as f64;
            // 95 % and three standard deviations of a share of 240 draws.
            assert!(
                (share - 0.95).abs() <= 3.0 * (0.95 * 0.05 / DRAWS as f64).sqrt(),
                "{points} {offset:?} {i}: {share}"
            );
        }
    }
}

/// Share of 90 % intervals of the rank that contain it, where few times are known of the reference: its few degrees of freedom
/// count, however many the other module has.
#[test]
fn intervals_of_ranks_have_their_coverage_with_few_points_of_the_reference() {
    const DRAWS: u64 = 240;
    let few: [(&[usize], &[usize]); 3] =
        [(&[8, 32], &[256, 1024]), (&[8, 16, 32], &[256, 1024]), (&[8, 16, 32, 64], &[256, 1024])];
    for (ranks, sizes) in few {
        let covered = |index: u64| {
            let truth = planted(28, 0.1, false, index);
            let fit = |module: usize, times: &[ConvergenceObservation]| {
                let mut options = options(Offset::Never, 400);
                options.bootstrap.seed = 2 * index + module as u64;
                fit_law_c(times, &options).unwrap()
            };
            let [llm, ve] = &truth.times;
            let known = llm.iter().filter(|o| ranks.contains(&o.rank) && sizes.contains(&o.samples));
            let known: Vec<ConvergenceObservation> = known.cloned().collect();
            assert_eq!(known.len(), ranks.len() * sizes.len());
            let rank = solve_rank(&truth.llm, 16.0, &truth.ve, 4096.0, 1.0).unwrap();
            let found = balance(&fit(0, &known), 16, &fit(1, ve), 4096, &BalanceOptions::default());
            found.interval.unwrap().contains(rank)
        };
        let share = (0..DRAWS).into_par_iter().filter(|index| covered(*index)).count() as f64 / DRAWS as f64;
        // 90 % and three standard deviations of a share of 240 draws.
        let error = (0.9 * 0.1 / DRAWS as f64).sqrt();
        assert!((share - 0.9).abs() <= 3.0 * error, "{} x {}: {share}", ranks.len(), sizes.len());
    }
}

/// Law-P with two modules, without noise: every form finds the law it was drawn from.
#[test]
fn law_p_of_two_modules_is_recovered() {
    let modules = vec!["llm".to_string(), "ve".to_string()];
    let planted = [
        (Form::Published, vec![60.0, 0.15, 0.1, 0.5, 2.2]),
        (Form::Tied, vec![60.0, 0.15, 0.5, 2.2]),
        (Form::Overfit, vec![60.0, 0.15, 0.1, 0.5, 1.5, 0.02, 0.2, 0.1, 0.3]),
        (Form::Surface, vec![2.2, -0.1, -0.06, 0.01, -0.002, 0.006, -0.08]),
    ];
    for (form, parameters) in planted {
        let law = LawPForm { form, modules: modules.clone(), sized: true, offset: true };
        let mut data = Vec::new();
        for (a, b) in [4, 8, 16, 32, 64].into_iter().flat_map(|a| [4, 16, 64].map(|b| (a, b))) {
            for d in [256, 1024, 4096, 16384] {
                let p = law.predict(&parameters, &[a as f64, b as f64, d as f64]);
                data.push(PerformanceObservation::new(Ranks::new().with("llm", a).with("ve", b), d, p));
            }
        }
        let bootstrap = BootstrapOptions { draws: 0, ..BootstrapOptions::default() };
        let fit = fit_law_p(&data, form, &LawPOptions { bootstrap, ..LawPOptions::default() }).unwrap();
        assert_eq!(fit.reason, Reason::Converged);
        for (found, wanted) in fit.fit.parameters.iter().zip(&parameters) {
            assert!((found / wanted - 1.0).abs() < 1e-6, "{form}: {:?} {parameters:?}", fit.fit.parameters);
        }
    }
}

/// Ranks that rise together determine the sum of the exponents alone: the published form says so, the tied one finds it.
#[test]
fn ranks_that_rise_together_do_not_tell_modules_apart() {
    let options = LawPOptions {
        residuals: Residuals::Log,
        bootstrap: BootstrapOptions { draws: 0, ..BootstrapOptions::default() },
        ..LawPOptions::default()
    };
    for offset in [0.0, 2.2] {
        let mut data = Vec::new();
        for (rank, samples) in [8, 32].into_iter().flat_map(|r| [200, 400, 800, 1600].map(|d| (r, d))) {
            let p = 60.0 / ((rank as f64).powf(0.3 + 0.1) * (samples as f64).powf(0.5)) + offset;
            let ranks = Ranks::new().with("llm", rank).with("ve", rank);
            data.push(PerformanceObservation::new(ranks, samples, p));
        }
        assert!(!fit_law_p(&data, Form::Published, &options).unwrap().reason.is_ok());
        let tied = fit_law_p(&data, Form::Tied, &options).unwrap();
        let (alpha, found) = (tied.parameters["alpha"], tied.parameters["E"]);
        assert!(
            tied.reason.is_ok() && (alpha - 0.2).abs() < 1e-6 && (found - offset).abs() < 1e-6,
            "{tied:?}"
        );
        // With noise an offset of 0 is no parameter.
        for (i, observation) in data.iter_mut().enumerate() {
            observation.perplexity *= 1.0 + 1e-3 * ((i * 5 % 8) as f64 - 3.5);
        }
        let auto = LawPOptions { offset: Offset::Auto, ..options.clone() };
        let tied = fit_law_p(&data, Form::Tied, &auto).unwrap();
        assert_eq!((tied.law.offset, tied.parameters.contains_key("E")), (offset > 0.0, offset > 0.0));
        assert!((tied.parameters["alpha"] - 0.2).abs() < 0.02, "{tied:?}");
    }
}

/// A few outliers move a robust fit little and a plain one much.
#[test]
fn robust_losses_resist_outliers() {
    let Planted { ve, times: [_, mut data], .. } = planted(60, 0.02, false, 3);
    for i in [5, 20, 41] {
        data[i].steps *= 6.0;
    }
    let error = |loss| {
        let fit = fit_law_c(&data, &LawCOptions { loss, ..options(Offset::Never, 0) }).unwrap();
        (fit.law.gamma - ve.gamma).abs() + (fit.law.delta - ve.delta).abs()
    };
    let plain = error(Loss::Plain);
    for loss in [Loss::Huber(0.05), Loss::Cauchy(0.05)] {
        assert!(error(loss) < plain / 4.0, "{loss}: {} against {plain}", error(loss));
    }
}
