//! The figures of the MARS paper, to the digits that follow from the published points.
#![allow(clippy::unwrap_used)]
mod common;

use common::{figure_2a, figure_2b};
use mars_laws::*;

fn close(found: f64, wanted: f64, digit: f64) {
    assert!((found - wanted).abs() <= digit / 2.0 * 1.0001, "{found} is not {wanted} to {digit}");
}

fn quick() -> BootstrapOptions {
    BootstrapOptions { draws: 200, ..BootstrapOptions::default() }
}

#[test]
fn law_c_without_offset_on_the_papers_points() {
    let options = LawCOptions { offset: Offset::Never, bootstrap: quick(), ..LawCOptions::default() };
    let fit = fit_law_c(&figure_2b(), &options).unwrap();
    close(fit.law.k, 6.19, 0.01);
    close(fit.law.gamma, -0.327, 0.001);
    close(fit.law.delta, 0.684, 0.001);
    close(fit.r2_log, 0.9905, 0.0001);
    assert_eq!(fit.reason, Reason::Converged);
    assert!(fit.interval["gamma"].contains(fit.law.gamma) && !fit.interval["gamma"].contains(0.0));
}

#[test]
fn law_c_with_offset_on_the_papers_points() {
    let options = LawCOptions { offset: Offset::Always, bootstrap: quick(), ..LawCOptions::default() };
    let fit = fit_law_c(&figure_2b(), &options).unwrap();
    close(fit.law.k, 4.52, 0.01);
    close(fit.law.gamma, -0.359, 0.001);
    close(fit.law.delta, 0.747, 0.001);
    close(fit.law.offset, 3.9, 0.1);
}

#[test]
fn law_c_slope_of_each_rank() {
    struct Slope;
    impl Law for Slope {
        fn name(&self) -> String {
            "slope".into()
        }
        fn inputs(&self) -> Vec<String> {
            vec!["samples".into()]
        }
        fn parameters(&self) -> Vec<Parameter> {
            vec![Parameter::new("k", "steps", Domain::Positive), Parameter::new("delta", "1", Domain::Free)]
        }
        fn predict(&self, p: &[f64], x: &[f64]) -> f64 {
            p[0] * x[0].powf(p[1])
        }
        fn log_linear(&self, x: &[f64]) -> Option<Vec<f64>> {
            Some(vec![1.0, x[0].ln()])
        }
        fn starts(&self, _: &[Point]) -> Vec<Vec<f64>> {
            vec![vec![1.0, 1.0]]
        }
    }
    let wanted = [(8, 0.6945, 2.905), (16, 0.6872, 2.527), (32, 0.6723, 2.138), (64, 0.6800, 1.587)];
    for (rank, slope, factor) in wanted {
        let points: Vec<Point> = figure_2b()
            .iter()
            .filter(|o| o.rank == rank)
            .map(|o| Point::new(vec![o.samples as f64], o.steps))
            .collect();
        let options = FitOptions { residuals: Residuals::Log, ..FitOptions::default() };
        for closed_form in [true, false] {
            let fit = fit(&Slope, &points, &FitOptions { closed_form, ..options.clone() }).unwrap();
            close(fit.parameters[1], slope, 1e-4);
            close(fit.parameters[0], factor, 1e-3);
        }
    }
}

#[test]
fn power_law_of_each_rank() {
    for (rank, largest, beta) in
        [(8, 16384, 0.7155), (16, 16384, 0.8299), (32, 4096, 0.7248), (64, 4096, 0.8313)]
    {
        let points: Vec<Point> = figure_2a()
            .iter()
            .filter(|o| o.ranks.get("llm") == rank && o.samples <= largest)
            .map(|o| Point::new(vec![o.samples as f64], o.perplexity))
            .collect();
        let fit = fit(&PowerLaw, &points, &FitOptions::default()).unwrap();
        close(fit.parameters[1], beta, 1e-4);
        assert_eq!(fit.reason, Reason::Converged);
    }
}

/// rms on the fitted sizes, rms on the larger ones, and at how many of the 7 sizes the best rank is right.
fn row(largest: usize, form: Form, loss: Loss) -> (f64, f64, usize) {
    let all = figure_2a();
    let fitted: Vec<_> = all.iter().filter(|o| o.samples <= largest).cloned().collect();
    let bootstrap = BootstrapOptions { draws: 0, ..BootstrapOptions::default() };
    let fit = fit_law_p(&fitted, form, &LawPOptions { loss, bootstrap, ..LawPOptions::default() }).unwrap();
    let larger: Vec<f64> = all
        .iter()
        .filter(|o| o.samples > largest)
        .map(|o| (fit.predict(&o.ranks, o.samples) - o.perplexity).powi(2))
        .collect();
    let best = |size: usize, value: &dyn Fn(&PerformanceObservation) -> f64| {
        let of_size = all.iter().filter(|o| o.samples == size);
        of_size.min_by(|a, b| value(a).total_cmp(&value(b))).unwrap().ranks.clone()
    };
    let right = (8..15)
        .map(|power| 1 << power)
        .filter(|d| best(*d, &|o| o.perplexity) == best(*d, &|o| fit.predict(&o.ranks, o.samples)))
        .count();
    (fit.rms, (larger.iter().sum::<f64>() / larger.len().max(1) as f64).sqrt(), right)
}

#[test]
fn over_fitting_term_predicts_the_change_of_the_best_rank() {
    let (plain, huber) = (Loss::Plain, Loss::Huber(0.02));
    let table = [
        (4096, Form::Published, plain, Some(0.042), Some(0.184), 4),
        (4096, Form::Overfit, plain, Some(0.032), Some(0.066), 7),
        (4096, Form::Overfit, huber, None, Some(0.075), 7),
        (2048, Form::Published, plain, Some(0.039), Some(0.182), 4),
        (2048, Form::Overfit, plain, Some(0.035), Some(0.323), 7),
        (2048, Form::Overfit, huber, None, None, 6),
        (16384, Form::Published, plain, Some(0.065), None, 4),
        (16384, Form::Overfit, plain, Some(0.034), None, 6),
    ];
    for (largest, form, loss, rms, rms_larger, right) in table {
        let (found, found_larger, found_right) = row(largest, form, loss);
        rms.into_iter().for_each(|rms| close(found, rms, 1e-3));
        rms_larger.into_iter().for_each(|rms| close(found_larger, rms, 1e-3));
        assert_eq!(found_right, right, "{largest} {form} {loss}");
    }
}
