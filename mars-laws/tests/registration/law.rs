//! Law-C of planted runs whose curves are registered.

use super::noisy;
use mars_laws::*;

/// Two sizes, the lowest ranks only in the first steps, the highest to its convergence: t = 12 (r / 4)^gamma (D / 64)^0.2.
fn sets(gamma: f64, sizes: &[usize]) -> Vec<CalibrationSet> {
    let set = |(at, &samples): (usize, &usize)| {
        let slow = (samples as f64 / 64.0).powf(0.2);
        let ranks: &[usize] = if at == 0 { &[4, 16, 32] } else { &[32] };
        let run = |&rank: &usize| {
            let constant = 12.0 * (rank as f64 / 4.0).powf(gamma) * slow;
            let until = if rank == 32 { 200 } else { 48 };
            let loss = |t: usize| (t as f64, 1.0 + 3.0 * (-(t as f64) / constant).exp());
            let curve = LossCurve::new(rank, (0..=until).step_by(8).map(loss));
            TimedCurve { curve, time: (rank == 32).then_some(constant * 10_f64.ln()) }
        };
        CalibrationSet { samples, runs: ranks.iter().map(run).collect() }
    };
    sizes.iter().enumerate().map(set).collect()
}

#[test]
fn a_planted_law_comes_out_of_short_runs_and_one_long_one_for_each_size() {
    for gamma in [-0.2, -0.33, -0.5] {
        let found =
            registered_law_c("ve", &sets(gamma, &[1024, 256]), &RegistrationOptions::default()).unwrap();
        let fit = found.law.unwrap();
        assert!((fit.law.gamma - gamma).abs() < 0.02 && (fit.law.delta - 0.2).abs() < 0.02, "{:?}", fit.law);
        let time = 12.0 * 2_f64.powf(gamma) * 16_f64.powf(0.2) * 10_f64.ln();
        assert!((fit.law.predict(8.0, 1024.0) / time).ln().abs() < 0.03);
        assert!(fit.interval["gamma"].contains(gamma) && fit.interval["delta"].contains(0.2));
        // The times' own error: 0.05 in the logarithm of both, over ln 4.
        let delta = fit.interval_of(0.6827, |law| law.delta);
        let expected = 2.0 * 0.05 * 2_f64.sqrt() / 4_f64.ln();
        assert!(((delta.hi - delta.lo) / expected).ln().abs() < 0.35, "{delta:?} {expected}");
    }
}

#[test]
fn one_size_gives_a_law_at_that_size_and_refusals_say_why() {
    let options = RegistrationOptions::default();
    let fit = registered_law_c("ve", &sets(-0.4, &[256]), &options).unwrap().law.unwrap();
    assert_eq!((fit.law.delta, fit.interval["delta"]), (0.0, Interval::UNBOUNDED));
    assert!((fit.law.gamma + 0.4).abs() < 0.02 && fit.r2_log > 0.99);
    let steps = |samples: f64| fit.interval_of(0.9, |law| law.predict(8.0, samples));
    assert!(steps(256.0).contains(fit.law.predict(8.0, 256.0)) && steps(256.0).hi.is_finite());
    for elsewhere in [1.0, 64.0, 255.0, 300.0, 1e6] {
        assert_eq!(steps(elsewhere), Interval::UNBOUNDED, "{elsewhere}");
    }

    let mut untimed = sets(-0.4, &[256]);
    untimed[0].runs.iter_mut().for_each(|run| run.time = None);
    let found = registered_law_c("ve", &untimed, &options).unwrap();
    assert!(found.sets[0].outcome.registration().is_some());
    assert_eq!(found.law.unwrap_err(), "no run trained to its convergence");

    let mut flat = sets(-0.4, &[256]);
    flat[0].runs[0].curve.losses.fill(4.0);
    let why = registered_law_c("ve", &flat, &options).unwrap().law.unwrap_err();
    assert!(why.starts_with("at 256 samples at rank 4 the loss improved by only 0.0 %"), "{why}");
    let one = vec![CalibrationSet { runs: sets(-0.4, &[256])[0].runs[2..].to_vec(), samples: 256 }];
    assert_eq!(
        registered_law_c("ve", &one, &options).unwrap().law.unwrap_err(),
        "there is a time at one rank only"
    );
}

#[test]
fn draws_move_the_times_that_were_registered_and_not_the_one_that_was_measured() {
    let noisy_sets = |seed: u64| {
        let mut sets = sets(-0.4, &[256]);
        sets[0].runs.remove(1);
        let curves: Vec<LossCurve> = sets[0].runs.iter().map(|run| run.curve.clone()).collect();
        for (run, curve) in sets[0].runs.iter_mut().zip(noisy(&curves, 0.02, seed)) {
            run.curve = curve;
        }
        sets
    };
    let covered = (0..40_u64)
        .filter(|&seed| {
            let found = registered_law_c("ve", &noisy_sets(seed), &RegistrationOptions::default()).unwrap();
            let fit = found.law.unwrap();
            let spread = |rank: f64| {
                let interval = fit.interval_of(0.9, |law| law.predict(rank, 256.0).ln());
                interval.hi - interval.lo
            };
            // 200 draws tell a spread to 5 %.
            assert!(spread(32.0) < 1.1 * spread(4.0), "the measured rank is known best");
            fit.interval["gamma"].contains(-0.4)
        })
        .count();
    assert!(covered >= 34, "{covered} of 40 intervals of 95 % hold the planted exponent");
}

/// Curves among the observations give the law of these curves, with its interval, from as few points as it takes.
#[test]
fn an_analysis_fits_the_curves_of_a_module() {
    let curves = |module: &str, sets| ModuleCurves { module: module.into(), sets };
    let (ve, llm) = (sets(-0.4, &[256]), sets(-0.3, &[256, 1024]));
    let ends = |set: &CalibrationSet| vec![set.runs[0].clone(), set.runs[set.runs.len() - 1].clone()];
    let ve = vec![CalibrationSet { runs: ends(&ve[0]), samples: 256 }];
    let observations = Observations {
        curves: vec![curves("ve", ve.clone()), curves("llm", llm.clone())],
        ..Default::default()
    };
    let mut request = FitRequest::default();
    request.law_c.bootstrap.seed = 7;
    let output = analyse(&observations, &request).unwrap();
    for (index, (module, sets)) in [("ve", ve), ("llm", llm)].into_iter().enumerate() {
        let law =
            registered_law_c(module, &sets, &RegistrationOptions::of_module(7, index)).unwrap().law.unwrap();
        assert_eq!(output.law_c[module].summary, (&law).into(), "{module}");
    }
    assert!(output.balanced.iter().all(|one| one.samples == 1024) && !output.balanced.is_empty());

    // Sizes beyond those that are fitted are left out, and what determines no law is said with its module.
    let small = analyse(&observations, &FitRequest { fit_up_to: Some(256), ..request.clone() }).unwrap();
    assert_eq!(small.law_c["llm"].summary.law.delta, 0.0);
    let error = analyse(&observations, &FitRequest { fit_up_to: Some(16), ..request }).unwrap_err();
    assert_eq!(error.to_string(), "law-c of ve: none, no run trained to its convergence");
}

#[test]
fn curves_that_determine_no_law_leave_that_of_another_module() {
    let mut flat = sets(-0.4, &[256]);
    flat[0].runs[0].curve.losses.fill(4.0);
    let curves = [("ve", flat), ("llm", sets(-0.3, &[256]))];
    let curves = curves.map(|(module, sets)| ModuleCurves { module: module.into(), sets }).into();
    let observations = Observations { curves, ..Default::default() };
    let output = analyse(&observations, &FitRequest::default()).unwrap();
    assert!(output.law_c.contains_key("llm") && output.balanced.is_empty());
    let why = &output.unfitted["ve"];
    assert!(why.starts_with("at 256 samples at rank 4 the loss improved by only 0.0 %"), "{why}");
}
