//! Bootstrap: equal for equal seeds on any number of threads, and intervals with their stated properties.
#![allow(clippy::unwrap_used)]
mod common;

use common::{figure_2a, figure_2b};
use mars_laws::*;

fn with(how: BootstrapOptions, offset: Offset) -> LawCFit {
    fit_law_c(&figure_2b(), &LawCOptions { offset, bootstrap: how, ..LawCOptions::default() }).unwrap()
}

fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    for resampling in [Resampling::Residual, Resampling::Case] {
        let how = BootstrapOptions { draws: 60, seed: 9, resampling, kind: IntervalKind::Bca, level: 0.9 };
        let law_c = |threads| on_threads(threads, || with(how.clone(), Offset::Always));
        assert_eq!(law_c(1), law_c(4));
        let options = LawPOptions { bootstrap: how.clone(), ..LawPOptions::default() };
        let law_p =
            |threads| on_threads(threads, || fit_law_p(&figure_2a(), Form::Published, &options).unwrap());
        assert_eq!(law_p(1), law_p(3));
        let other_seed = with(BootstrapOptions { seed: 10, ..how.clone() }, Offset::Always);
        assert_ne!(law_c(2).interval, other_seed.interval);
    }
    let request =
        FitRequest { law_p: LawPOptions { bootstrap: quick(), ..Default::default() }, ..Default::default() };
    let text = include_str!("fixtures/mars_fig2a_perplexity.csv");
    let report = |threads| {
        on_threads(threads, || serde_json::to_string(&analyse_csv(text, &request).unwrap()).unwrap())
    };
    assert_eq!(report(1), report(4));
}

fn quick() -> BootstrapOptions {
    BootstrapOptions { draws: 20, ..BootstrapOptions::default() }
}

/// A weight counts measurements: intervals are those of so many rows, with the scatter of 4,000 draws.
#[test]
fn weights_are_rows_for_intervals_too() {
    let rows = |times: usize, weight: f64| -> Vec<ConvergenceObservation> {
        let weighted = |o: &ConvergenceObservation| ConvergenceObservation { weight, ..o.clone() };
        figure_2b().iter().flat_map(|o| vec![weighted(o); times]).collect()
    };
    let width = |rows: &[ConvergenceObservation]| {
        let how = BootstrapOptions { draws: 4000, ..BootstrapOptions::default() };
        let options = LawCOptions { offset: Offset::Never, bootstrap: how, ..LawCOptions::default() };
        let fit = fit_law_c(rows, &options).unwrap();
        let gamma = fit.interval_of(0.9, |law| law.gamma);
        gamma.hi - gamma.lo
    };
    for (heavy, light) in [
        (rows(1, 2.0), rows(2, 1.0)),
        (rows(1, 3.0), rows(3, 1.0)),
        (rows(1, 1.0), rows(2, 0.5)),
        (rows(1, 1.5), rows(3, 0.5)),
        (rows(1, 200.0), rows(2, 100.0)),
    ] {
        let ratio = width(&heavy) / width(&light);
        assert!((ratio - 1.0).abs() < 0.06, "{} rows of weight {}: {ratio}", heavy.len(), heavy[0].weight);
    }
}

/// For a law linear in logarithms the residual bootstrap's spread is the least-squares standard error.
#[test]
fn spread_of_the_refits_is_the_standard_error() {
    let fit = with(BootstrapOptions { draws: 4000, ..BootstrapOptions::default() }, Offset::Never);
    let refits = fit.bootstrap.as_ref().unwrap();
    let covariance = fit.fit.goodness.covariance.as_ref().unwrap();
    for (i, expected) in [(1, covariance[1][1].sqrt()), (2, covariance[2][2].sqrt())] {
        let values: Vec<f64> = refits.draws.iter().map(|p| p[i]).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let spread = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
        assert!((spread / expected - 1.0).abs() < 0.06, "{spread} {expected}");
        assert!((mean - refits.estimate[i]).abs() < 0.1 * expected);
    }
}

/// Law-C whose offset may be negative: refits of a fit with its offset at the bound must vary like fits of it.
struct Unbounded;

impl Law for Unbounded {
    fn name(&self) -> String {
        "law-c with any offset".into()
    }

    fn inputs(&self) -> Vec<String> {
        LawCForm { offset: true }.inputs()
    }

    fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = LawCForm { offset: true }.parameters();
        parameters[3].domain = Domain::Free;
        parameters
    }

    fn predict(&self, parameters: &[f64], input: &[f64]) -> f64 {
        LawCForm { offset: true }.predict(parameters, input)
    }

    fn starts(&self, points: &[Point]) -> Vec<Vec<f64>> {
        LawCForm { offset: true }.starts(points)
    }
}

/// Times of a law with offset -3: the fit's offset lies on its bound 0, those of the refits do not.
#[test]
fn refits_of_an_offset_at_its_bound_vary_as_without_the_bound() {
    let mut data = figure_2b();
    for (i, o) in data.iter_mut().enumerate() {
        let law = LawC { k: 4.6, gamma: -0.355, delta: 0.745, offset: -3.0 };
        o.steps = law.predict(o.rank as f64, o.samples as f64) * (1.0 + 0.01 * (2.3 * i as f64).sin());
    }
    let how = BootstrapOptions { draws: 4000, ..BootstrapOptions::default() };
    let fitted =
        fit_law_c(&data, &LawCOptions { offset: Offset::Always, bootstrap: how, ..LawCOptions::default() })
            .unwrap();
    assert!(fitted.law.offset < 1e-3, "{:?}", fitted.law);
    let points: Vec<Point> =
        data.iter().map(|o| Point::new(vec![o.rank as f64, o.samples as f64], o.steps)).collect();
    let options = FitOptions { residuals: Residuals::Log, ..FitOptions::default() };
    let free = fit(&Unbounded, &points, &options).unwrap();
    let covariance = free.goodness.covariance.unwrap();
    let refits = fitted.bootstrap.unwrap();
    for i in 0..4 {
        assert!((refits.estimate[i] / free.parameters[i] - 1.0).abs() < 1e-5, "{:?}", refits.estimate);
        let values: Vec<f64> = refits.draws.iter().map(|p| p[i]).collect();
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let spread = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt();
        assert!((spread / covariance[i][i].sqrt() - 1.0).abs() < 0.1, "{i}: {spread} {covariance:?}");
    }
    assert_eq!(fitted.interval["offset"].lo, 0.0, "no offset below 0 is reported");
    assert!(fitted.interval["delta"].contains(0.745) && fitted.interval["k"].contains(4.6));
}

/// Where the bound is not active, data are redrawn about the fit itself.
#[test]
fn refits_of_an_offset_inside_its_bound_are_about_the_fit() {
    let fit = with(quick(), Offset::Always);
    assert!(fit.law.offset > 1.0);
    let refits = fit.bootstrap.unwrap();
    for (centre, own) in refits.estimate.iter().zip(&fit.fit.parameters) {
        assert!((centre / own - 1.0).abs() < 1e-6, "{centre} {own}");
    }
}

#[test]
fn intervals_widen_with_level_and_with_fewer_points() {
    let fit = |kind| with(BootstrapOptions { kind, ..BootstrapOptions::default() }, Offset::Always);
    let width = |interval: Interval| interval.hi - interval.lo;
    for kind in [IntervalKind::Expanded, IntervalKind::Percentile, IntervalKind::Bca] {
        let fit = fit(kind);
        let of = |level| fit.interval_of(level, |law| law.gamma);
        assert!(width(of(0.5)) < width(of(0.9)) && width(of(0.9)) < width(of(0.99)), "{kind:?}");
        assert!(of(0.9).contains(fit.law.gamma));
    }
    let gamma = |kind| width(fit(kind).interval["gamma"]);
    assert!(gamma(IntervalKind::Expanded) > gamma(IntervalKind::Percentile));
}

#[test]
fn intervals_follow_monotone_maps() {
    for kind in [IntervalKind::Expanded, IntervalKind::Percentile, IntervalKind::Bca] {
        let fit = with(BootstrapOptions { draws: 999, kind, ..BootstrapOptions::default() }, Offset::Never);
        let (plain, log) = (fit.interval_of(0.9, |law| law.k), fit.interval_of(0.9, |law| law.k.ln()));
        // Percentiles commute with monotone maps but for interpolation; BCa's acceleration nearly so.
        let tolerance = if kind == IntervalKind::Bca { 0.05 } else { 1e-3 };
        assert!(
            (plain.lo.ln() - log.lo).abs() < tolerance && (plain.hi.ln() - log.hi).abs() < tolerance,
            "{kind:?}"
        );
    }
}

#[test]
fn without_refits_intervals_are_unbounded_and_serialise_as_null() {
    let fit = with(BootstrapOptions { draws: 0, ..BootstrapOptions::default() }, Offset::Never);
    assert_eq!(fit.interval["gamma"], Interval::UNBOUNDED);
    assert_eq!(serde_json::to_string(&fit.interval["gamma"]).unwrap(), "[null,null]");
    assert_eq!(serde_json::from_str::<Interval>("[null,2.5]").unwrap().hi, 2.5);
}

#[test]
fn fits_survive_json() {
    let how = BootstrapOptions { draws: 5, ..BootstrapOptions::default() };
    let fit = with(how.clone(), Offset::Always);
    let back: LawCFit = serde_json::from_str(&serde_json::to_string(&fit).unwrap()).unwrap();
    assert_eq!(fit, back);
    let options = LawPOptions { bootstrap: how, ..LawPOptions::default() };
    let fit = fit_law_p(&figure_2a(), Form::Overfit, &options).unwrap();
    let back: LawPFit = serde_json::from_str(&serde_json::to_string(&fit).unwrap()).unwrap();
    assert_eq!(fit, back);
}
