//! What data do not determine has no interval, no probability and gives no rank.
#![allow(clippy::unwrap_used)]
mod common;

use common::{figure_2a, figure_2b};
use mars_laws::*;
use proptest::prelude::*;

const KINDS: [IntervalKind; 3] = [IntervalKind::Expanded, IntervalKind::Percentile, IntervalKind::Bca];

fn observe(list: &[(usize, usize)], noise: &[f64]) -> Vec<ConvergenceObservation> {
    let time = |r: usize, d: usize| 6.0 * (r as f64).powf(-0.4) * (d as f64).powf(0.6);
    let each = list.iter().zip(noise.iter().cycle());
    each.map(|((r, d), e)| ConvergenceObservation::new("ve", *r, *d, time(*r, *d) * e.exp())).collect()
}

fn options(kind: IntervalKind, resampling: Resampling, offset: Offset) -> LawCOptions {
    let bootstrap = BootstrapOptions { draws: 40, kind, resampling, ..BootstrapOptions::default() };
    LawCOptions { offset, bootstrap, ..LawCOptions::default() }
}

fn fitted(data: &[ConvergenceObservation]) -> LawCFit {
    fit_law_c(data, &options(IntervalKind::Expanded, Resampling::Residual, Offset::Never)).unwrap()
}

fn steps(fit: &LawCFit, rank: f64, samples: f64) -> Interval {
    fit.interval_of(0.9, |law| law.predict(rank, samples))
}

/// Three times that determine the three parameters exactly, however they are weighted or copied.
fn saturated() -> impl Strategy<Value = Vec<ConvergenceObservation>> {
    let noise = prop::collection::vec(-0.3..0.3, 3);
    (1_usize..60, 1_usize..60, 2_usize..2000, 2_usize..2000, noise, 0.5..3.0, 1_usize..4).prop_map(
        |(rank, other, size, more, noise, weight, copies)| {
            let mut data = observe(&[(rank, size), (rank + other, size), (rank, size + more)], &noise);
            data.iter_mut().for_each(|o| o.weight = weight);
            data.iter().flat_map(|o| vec![o.clone(); copies]).collect()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn without_a_degree_of_freedom_nothing_has_an_interval_or_gives_a_rank(data in saturated(), at in 1_usize..100, samples in 1_usize..10_000) {
        let other = fitted(&figure_2b());
        for kind in KINDS {
            for resampling in [Resampling::Residual, Resampling::Case] {
                let fit = fit_law_c(&data, &options(kind, resampling, Offset::Never)).unwrap();
                for (name, interval) in &fit.interval {
                    let least = if name == "k" { 0.0 } else { f64::NEG_INFINITY };
                    prop_assert_eq!(*interval, Interval { lo: least, hi: f64::INFINITY }, "{}", name);
                }
                prop_assert_eq!(steps(&fit, at as f64, samples as f64), Interval::UNBOUNDED);
                prop_assert!(!fit.bootstrap.as_ref().unwrap().is_informative());
                for (a, b) in [(&other, &fit), (&fit, &other)] {
                    let found = balance(a, at, b, samples, &BalanceOptions::default());
                    prop_assert!(matches!(found.outcome, Outcome::Fallback(_)), "{:?}", found);
                    prop_assert_eq!(found.interval, Some(Interval::UNBOUNDED));
                }
            }
        }
    }

    /// One size, one rank, or sizes that are a power of the rank: what moves with the open exponent is open, the rest is not.
    #[test]
    fn an_open_direction_leaves_open_what_moves_with_it(noise in prop::collection::vec(-0.1..0.1, 8), fixed in 2_usize..500, factor in 1.1_f64..50.0) {
        let noise: Vec<f64> = noise;
        let bounded = |interval: Interval| interval.lo.is_finite() && interval.hi.is_finite();
        let one_size = fitted(&observe(&[2, 4, 8, 16, 32].map(|r| (r, fixed)), &noise));
        let one_rank = fitted(&observe(&[64, 128, 256, 512, 1024].map(|d| (fixed, d)), &noise));
        let together = fitted(&observe(&[4, 8, 16, 32, 64].map(|r| (r, r * r)), &noise));
        for fit in [&one_size, &one_rank, &together] {
            prop_assert_eq!(fit.reason, Reason::RankDeficient);
        }
        prop_assert!(!bounded(one_size.interval["k"]) && !bounded(one_rank.interval["k"]));
        let fixed = fixed as f64;
        prop_assert!(bounded(one_size.interval["gamma"]) && !bounded(one_size.interval["delta"]));
        prop_assert!(!bounded(one_rank.interval["gamma"]) && bounded(one_rank.interval["delta"]));
        prop_assert!(!bounded(together.interval["gamma"]) && !bounded(together.interval["delta"]));
        prop_assert!(bounded(steps(&one_size, 7.0, fixed)) && !bounded(steps(&one_size, 7.0, fixed * factor)));
        prop_assert!(!bounded(steps(&one_size, 7.0, fixed / factor)));
        prop_assert!(bounded(steps(&one_rank, fixed, 77.0)) && !bounded(steps(&one_rank, fixed * factor, 77.0)));
        prop_assert!(bounded(steps(&together, 9.0, 81.0)) && !bounded(steps(&together, 9.0, 81.0 * factor)));
    }
}

#[test]
fn one_more_time_than_parameters_gives_intervals() {
    let corners = [(8, 256), (32, 256), (8, 1024), (32, 1024)];
    let noise = [0.02, -0.01, 0.03, 0.0];
    assert_eq!(fitted(&observe(&corners[..3], &noise)).interval["gamma"], Interval::UNBOUNDED);
    let fit = fitted(&observe(&corners, &noise));
    assert!(fit.interval.values().all(|interval| interval.hi.is_finite()) && fit.interval["gamma"].hi < 0.0);
}

#[test]
fn fits_that_ended_without_a_minimum_have_no_intervals() {
    let flat: Vec<_> = [(8, 64), (16, 64), (8, 256), (16, 256), (32, 128)]
        .map(|(r, d)| ConvergenceObservation::new("ve", r, d, 40.0))
        .into();
    let fit = fitted(&flat);
    assert_eq!(fit.reason, Reason::Degenerate);
    assert!(fit.interval.values().all(|interval| interval.hi == f64::INFINITY), "{:?}", fit.interval);
}

fn law_p(data: &[PerformanceObservation], form: Form) -> LawPFit {
    let bootstrap = BootstrapOptions { draws: 40, ..BootstrapOptions::default() };
    fit_law_p(data, form, &LawPOptions { bootstrap, ..LawPOptions::default() }).unwrap()
}

fn choices() -> Vec<Ranks> {
    [8, 16, 32, 64].map(|rank| Ranks::new().with("llm", rank)).into()
}

/// As many perplexities as the form has parameters: every refit is the fit, and its order no probability.
#[test]
fn a_saturated_law_p_gives_no_probabilities() {
    let data = figure_2a();
    for form in Form::ALL {
        let count =
            LawPForm { form, modules: vec!["llm".into()], sized: true, offset: true }.parameters().len();
        // Ranks and sizes both vary among the first and the last of the table.
        let some: Vec<_> = (0..count).map(|i| data[i * (data.len() - 1) / (count - 1)].clone()).collect();
        let fit = law_p(&some, form);
        assert!(
            fit.interval.values().all(|interval| interval.hi == f64::INFINITY),
            "{form}: {:?}",
            fit.interval
        );
        for one in contenders(&fit, &choices(), 2048, 0.9).unwrap() {
            assert_eq!(
                (one.probability, one.regret, one.interval),
                (None, None, Interval::UNBOUNDED),
                "{form}"
            );
            assert!(!serde_json::to_string(&one).unwrap().contains("probability"));
        }
    }
    let request = FitRequest { form: Some(Form::Published), predict: vec![512], ..FitRequest::default() };
    let few: Vec<_> = data.iter().step_by(9).cloned().collect();
    let output = analyse(&Observations { performance: few, ..Observations::default() }, &request).unwrap();
    assert!(!output.to_string().contains("best with probability"), "{output}");
}

/// Perplexities at one size say which ranks are best there, and nothing of other sizes, whatever the form.
#[test]
fn a_law_p_of_one_size_predicts_there_only() {
    let at_one = |samples: usize| -> Vec<PerformanceObservation> {
        let all = [4, 6, 8, 12, 16, 24, 32, 48, 64, 96];
        let perplexity = |r: usize| 3.0 + 2.0 / (r as f64).sqrt() + 0.01 * ((r * 7) % 5) as f64;
        all.map(|r| PerformanceObservation::new(Ranks::new().with("llm", r), samples, perplexity(r))).into()
    };
    for (form, offset) in [(Form::Published, Offset::Never), (Form::Surface, Offset::Never)] {
        let bootstrap = BootstrapOptions { draws: 40, ..BootstrapOptions::default() };
        let options = LawPOptions { offset, bootstrap, residuals: Residuals::Log, ..LawPOptions::default() };
        let fit = fit_law_p(&at_one(512), form, &options).unwrap();
        let here = contenders(&fit, &choices(), 512, 0.9).unwrap();
        assert!(
            here.iter().all(|one| one.probability.is_some() && one.interval.hi.is_finite()),
            "{form}: {here:?}"
        );
        for elsewhere in [1, 256, 513, 1024, 100_000] {
            let there = contenders(&fit, &choices(), elsewhere, 0.9).unwrap();
            let unknown = |one: &Contender| one.probability.is_none() && one.interval == Interval::UNBOUNDED;
            assert!(there.iter().all(unknown), "{form} at {elsewhere}: {there:?}");
        }
    }
}

#[test]
fn no_samples_are_refused() {
    let all = Observations { convergence: figure_2b(), performance: figure_2a(), ..Observations::default() };
    let error = analyse(&all, &FitRequest { predict: vec![512, 0], ..FitRequest::default() }).unwrap_err();
    assert_eq!(error.to_string(), "option `predict` is 0, but must be 1 or more samples");
    let fit = law_p(&figure_2a(), Form::Published);
    let named = |error: Error| matches!(error, Error::BadOption { name: "samples", .. });
    assert!(named(contenders(&fit, &choices(), 0, 0.9).unwrap_err()));
    assert!(named(best_ranks(&fit, &[("llm".to_string(), vec![8])].into(), 0, 1).unwrap_err()));
    assert!(fit.predict(&choices()[0], 0).is_nan());
    assert_eq!(fit.predict_interval(&choices()[0], 0, 0.9), Interval::UNBOUNDED);
}
