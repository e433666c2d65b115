//! Data that do not determine a law: a typed reason or error, never an unmarked number.
#![allow(clippy::unwrap_used)]
mod common;

use common::figure_2b;
use mars_laws::*;

fn observe(list: &[(usize, usize, f64)]) -> Vec<ConvergenceObservation> {
    list.iter().map(|(r, d, t)| ConvergenceObservation::new("ve", *r, *d, *t)).collect()
}

fn options(offset: Offset) -> LawCOptions {
    let bootstrap = BootstrapOptions { draws: 50, ..BootstrapOptions::default() };
    LawCOptions { offset, bootstrap, ..LawCOptions::default() }
}

/// 40 sets that do not determine gamma, delta or both.
fn undetermined() -> Vec<(&'static str, Vec<ConvergenceObservation>)> {
    let mut sets = Vec::new();
    for i in 1..=10_usize {
        let wiggle = |j: usize| 1.0 + 0.03 * ((i * 7 + j * 13) % 5) as f64;
        sets.push((
            "one rank",
            (0..6).map(|j| (8, 16 << j, 20.0 * wiggle(j) * 1.6_f64.powi(j as i32))).collect(),
        ));
        sets.push((
            "one size",
            (0..6).map(|j| (2 << j, 64 * i, 90.0 * wiggle(j) / 1.3_f64.powi(j as i32))).collect(),
        ));
        sets.push(("ranks that follow sizes", (0..6).map(|j| (2 << j, 16 << j, 20.0 * wiggle(j))).collect()));
        sets.push(("one time", (0..8).map(|j| (8 << (j % 4), 64 << (j / 4), 10.0 * i as f64)).collect()));
    }
    sets.into_iter().map(|(what, list): (_, Vec<_>)| (what, observe(&list))).collect()
}

#[test]
fn undetermined_laws_are_reported_and_give_no_rank() {
    let reference = fit_law_c(&figure_2b(), &LawCOptions::default()).unwrap();
    assert_eq!(undetermined().len(), 40);
    for (what, data) in undetermined() {
        for offset in [Offset::Never, Offset::Always, Offset::Auto] {
            let fit = fit_law_c(&data, &options(offset)).unwrap();
            assert!(!fit.reason.is_ok(), "{what} {offset:?}: {:?} {:?}", fit.reason, fit.law);
            if what != "one time" {
                assert!(fit.fit.goodness.covariance.is_none(), "{what} {offset:?}");
            }
            let found = balance(&reference, 16, &fit, 256, &BalanceOptions::default());
            assert!(matches!(found.outcome, Outcome::Fallback(_)), "{what} {offset:?}: {found:?}");
            assert_eq!(found.rank, 16);
        }
    }
}

#[test]
fn too_few_observations_are_refused() {
    let data = figure_2b();
    for count in 0..3 {
        let error = fit_law_c(&data[..count], &options(Offset::Never)).unwrap_err();
        assert!(
            matches!(error, Error::TooFewObservations { needed: 3, found, .. } if found == count),
            "{error}"
        );
    }
    let error = fit_law_c(&data[..3], &options(Offset::Always)).unwrap_err();
    assert!(error.to_string().contains("3 observation(s) for 4 parameters"), "{error}");
    let error = fit_law_p(&[], Form::Published, &LawPOptions::default()).unwrap_err();
    assert!(matches!(error, Error::TooFewObservations { found: 0, .. }));
    let saturated = fit_law_c(&data[6..9], &options(Offset::Never)).unwrap();
    assert!(saturated.fit.goodness.covariance.is_none() && saturated.fit.goodness.aicc.is_none());
}

#[test]
fn values_out_of_range_are_refused_by_name() {
    for (field, change) in [
        ("steps", (|o| o.steps = f64::NAN) as fn(&mut ConvergenceObservation)),
        ("steps", |o| o.steps = 0.0),
        ("steps", |o| o.steps = f64::INFINITY),
        ("rank", |o| o.rank = 0),
        ("samples", |o| o.samples = 0),
        ("weight", |o| o.weight = -1.0),
        ("weight", |o| o.weight = f64::NAN),
    ] {
        let mut data = figure_2b();
        change(&mut data[11]);
        let error = fit_law_c(&data, &options(Offset::Never)).unwrap_err();
        assert!(matches!(&error, Error::BadObservation { index: 11, field: f, .. } if f == field), "{error}");
    }
}

#[test]
fn conventions_and_modules_never_mix() {
    let mut data = figure_2b();
    data[9].convention = "alpha/r".into();
    let error = fit_law_c(&data, &options(Offset::Never)).unwrap_err();
    assert!(
        matches!(&error, Error::MixedConventions { other, index: 9, .. } if other == "alpha/r"),
        "{error}"
    );
    let mut data = figure_2b();
    data[4].module = "ve".into();
    let error = fit_law_c(&data, &options(Offset::Never)).unwrap_err();
    assert!(matches!(&error, Error::MixedModules { other, index: 4, .. } if other == "ve"), "{error}");
    let joint = |ranks: Ranks| PerformanceObservation::new(ranks, 64, 3.0);
    let data = [joint(Ranks::new().with("ve", 8).with("llm", 8)), joint(Ranks::new().with("llm", 8))];
    let error = fit_law_p(&data, Form::Published, &LawPOptions::default()).unwrap_err();
    assert_eq!(error, Error::MissingRank { index: 1, module: "ve".into() });
}

#[test]
fn options_out_of_range_are_refused() {
    for level in [0.0, 1.0, -0.5, f64::NAN] {
        let mut options = options(Offset::Never);
        options.bootstrap.level = level;
        let error = fit_law_c(&figure_2b(), &options).unwrap_err();
        assert!(matches!(error, Error::BadOption { name: "level", .. }));
    }
    for loss in [Loss::Huber(0.0), Loss::Cauchy(-1.0), Loss::Huber(f64::NAN)] {
        let error = fit_law_c(&figure_2b(), &LawCOptions { loss, ..options(Offset::Never) }).unwrap_err();
        assert!(matches!(error, Error::BadOption { name: "loss", .. }));
    }
    for text in ["huber", "huber:", "huber:-1", "l2", "cauchy:x"] {
        assert!(text.parse::<Loss>().is_err(), "{text}");
    }
    assert_eq!("huber:0.02".parse(), Ok(Loss::Huber(0.02)));
    assert!("best".parse::<Form>().is_err());
}

#[test]
fn errors_among_several_modules_name_module_and_position() {
    let two: Vec<_> = figure_2b().into_iter().chain(observe(&[(8, 64, 20.0), (16, 64, 18.0)])).collect();
    let error = fit_law_c_all(&two, &options(Offset::Never)).unwrap_err();
    assert!(error.to_string().starts_with("law-c of ve: 2 observation(s) for 3 parameters"), "{error}");
    let mut bad = two;
    bad[29].steps = -1.0;
    let error = fit_law_c_all(&bad, &options(Offset::Never)).unwrap_err();
    assert!(matches!(error, Error::BadObservation { index: 29, .. }), "{error}");
    bad[29] = ConvergenceObservation { convention: "other".into(), ..bad[28].clone() };
    let error = fit_law_c_all(&bad, &options(Offset::Never)).unwrap_err();
    assert!(matches!(error, Error::MixedConventions { index: 29, .. }), "{error}");
}
