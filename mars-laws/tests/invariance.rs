//! What a fit must not depend on: units, the order of observations, and whether repeats are rows or weights.
#![allow(clippy::unwrap_used)]
use mars_laws::*;
use proptest::prelude::*;

/// A design of `ranks` x `sizes` with planted parameters and seeded noise.
fn points(k: f64, gamma: f64, delta: f64, offset: f64, noise: &[f64]) -> Vec<Point> {
    let design =
        [8.0, 16.0, 32.0, 64.0].into_iter().flat_map(|r| (0..5).map(move |i| (r, 16.0 * 4_f64.powi(i))));
    design
        .zip(noise)
        .map(|((r, d), e)| {
            let time = k * f64::powf(r, gamma) * f64::powf(d, delta) + offset;
            Point::new(vec![r, d], time * e.exp())
        })
        .collect()
}

fn solve(points: &[Point], offset: bool, residuals: Residuals) -> Fit {
    fit(&LawCForm { offset }, points, &FitOptions { residuals, ..FitOptions::default() }).unwrap()
}

fn near(a: f64, b: f64, relative: f64) -> bool {
    (a - b).abs() <= relative * a.abs().max(b.abs()).max(1e-6)
}

/// Equal minima; parameters at a nearly flat minimum may differ by the square root of the tolerance.
fn same(a: &Fit, b: &Fit, tolerance: f64) -> bool {
    let predictions = a.goodness.predictions.iter().zip(&b.goodness.predictions);
    near(a.cost, b.cost, tolerance) && predictions.into_iter().all(|(a, b)| near(*a, *b, tolerance.sqrt()))
}

fn laws() -> impl Strategy<Value = (f64, f64, f64, f64, Vec<f64>)> {
    let noise = prop::collection::vec(-0.1..0.1, 20);
    (1.0..10.0, -0.6..-0.1, 0.5..0.9, 0.0..8.0, noise)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn unit_of_time_scales_k_and_offset((k, gamma, delta, offset, noise) in laws(), power in -6..=6) {
        let unit = 10_f64.powi(power);
        let ours = points(k, gamma, delta, offset, &noise);
        let scaled: Vec<Point> = ours.iter().map(|p| Point::new(p.input.clone(), p.value * unit)).collect();
        for with in [false, true] {
            let (a, b) = (solve(&ours, with, Residuals::Log), solve(&scaled, with, Residuals::Log));
            prop_assert!(near(a.cost, b.cost, 1e-8));
            let exact = if with { 1e-4 } else { 1e-8 };
            prop_assert!(near(a.parameters[0] * unit, b.parameters[0], exact), "{a:?} {b:?}");
            prop_assert!(near(a.parameters[1], b.parameters[1], exact));
            prop_assert!(near(a.parameters[2], b.parameters[2], exact));
        }
    }

    #[test]
    fn unit_of_size_scales_k_by_its_power((k, gamma, delta, offset, noise) in laws(), power in -6..=6) {
        let unit = 10_f64.powi(power);
        let ours = points(k, gamma, delta, offset, &noise);
        let scaled: Vec<Point> =
            ours.iter().map(|p| Point::new(vec![p.input[0], p.input[1] * unit], p.value)).collect();
        for with in [false, true] {
            let (a, b) = (solve(&ours, with, Residuals::Log), solve(&scaled, with, Residuals::Log));
            let exact = if with { 1e-4 } else { 1e-8 };
            prop_assert!(near(a.cost, b.cost, 1e-8));
            prop_assert!(near(a.parameters[0] * unit.powf(-a.parameters[2]), b.parameters[0], 10.0 * exact));
            prop_assert!(near(a.parameters[2], b.parameters[2], exact));
        }
    }

    #[test]
    fn order_of_observations((k, gamma, delta, offset, noise) in laws(), turn in 1_usize..19) {
        let ours = points(k, gamma, delta, offset, &noise);
        let mut turned = ours.clone();
        turned.rotate_left(turn);
        for with in [false, true] {
            let (a, mut b) = (solve(&ours, with, Residuals::Linear), solve(&turned, with, Residuals::Linear));
            b.goodness.predictions.rotate_right(turn);
            prop_assert!(same(&a, &b, 1e-8));
        }
    }

    #[test]
    fn a_point_twice_at_half_the_weight((k, gamma, delta, offset, noise) in laws()) {
        let ours = points(k, gamma, delta, offset, &noise);
        let halves: Vec<Point> = ours.iter().flat_map(|p| [p.clone().weighted(0.5), p.clone().weighted(0.5)]).collect();
        for with in [false, true] {
            let (a, b) = (solve(&ours, with, Residuals::Log), solve(&halves, with, Residuals::Log));
            prop_assert!(near(a.cost, b.cost, 1e-8));
            prop_assert!(near(a.goodness.aicc.unwrap(), b.goodness.aicc.unwrap(), 1e-8));
            prop_assert!(near(a.goodness.rms, b.goodness.rms, 1e-4));
            if let (Some(a), Some(b)) = (&a.goodness.covariance, &b.goodness.covariance) {
                prop_assert!(near(a[1][1], b[1][1], 1e-3));
            }
        }
    }

    #[test]
    fn a_point_twice_is_a_point_of_weight_two((k, gamma, delta, offset, noise) in laws(), at in 0_usize..20) {
        let mut heavy = points(k, gamma, delta, offset, &noise);
        let mut twice = heavy.clone();
        twice.push(heavy[at].clone());
        heavy[at].weight = 2.0;
        for with in [false, true] {
            let (a, b) = (solve(&heavy, with, Residuals::Log), solve(&twice, with, Residuals::Log));
            prop_assert!(near(a.cost, b.cost, 1e-8));
            prop_assert!(near(a.goodness.aicc.unwrap(), b.goodness.aicc.unwrap(), 1e-8));
        }
    }

    #[test]
    fn closed_form_and_search_agree((k, gamma, delta, _, noise) in laws()) {
        let ours = points(k, gamma, delta, 0.0, &noise);
        let law = LawCForm { offset: false };
        let options = FitOptions { residuals: Residuals::Log, ..FitOptions::default() };
        let direct = fit(&law, &ours, &options).unwrap();
        let starts = vec![vec![1.0, 0.0, 0.0]];
        let searched = fit(&law, &ours, &FitOptions { closed_form: false, starts, ..options }).unwrap();
        for (a, b) in direct.parameters.iter().zip(&searched.parameters) {
            prop_assert!(near(*a, *b, 1e-7), "{a} {b}");
        }
    }

    #[test]
    fn robust_losses_of_large_size_are_plain((k, gamma, delta, offset, noise) in laws()) {
        let ours = points(k, gamma, delta, offset, &noise);
        let plain = solve(&ours, false, Residuals::Linear);
        for loss in [Loss::Huber(1e6), Loss::Cauchy(1e7)] {
            let fit = fit(&LawCForm { offset: false }, &ours, &FitOptions { loss, ..FitOptions::default() }).unwrap();
            prop_assert!(same(&plain, &fit, 1e-6), "{loss}");
        }
    }
}

/// Swapping two modules' names in the data swaps their parameters.
#[test]
fn names_of_modules_are_only_names() {
    let data = |first: &str, second: &str| -> Vec<PerformanceObservation> {
        let pairs = [8, 16, 32].into_iter().flat_map(|a| [4, 16, 64].into_iter().map(move |b| (a, b)));
        pairs
            .flat_map(|(a, b)| [256_usize, 1024, 4096].into_iter().map(move |d| (a, b, d)))
            .map(|(a, b, d)| {
                let (x, y, z) = (a as f64, b as f64, d as f64);
                let wiggle = 1.0 + 0.01 * ((a * 7 + b * 3 + d) % 11) as f64 / 11.0;
                let p = (40.0 / (x.powf(0.1) * y.powf(0.3) * z.powf(0.5)) + 2.0) * wiggle;
                PerformanceObservation::new(Ranks::new().with(first, a).with(second, b), d, p)
            })
            .collect()
    };
    let options =
        LawPOptions { bootstrap: BootstrapOptions { draws: 0, ..Default::default() }, ..Default::default() };
    for form in Form::ALL {
        let one = fit_law_p(&data("ve", "llm"), form, &options).unwrap();
        let two = fit_law_p(&data("llm", "ve"), form, &options).unwrap();
        assert!(near(one.fit.cost, two.fit.cost, 1e-8), "{form}: {} {}", one.fit.cost, two.fit.cost);
        let (a, b) = (Ranks::new().with("ve", 8).with("llm", 64), Ranks::new().with("ve", 64).with("llm", 8));
        assert!(near(one.predict(&a, 8192), two.predict(&b, 8192), 1e-5));
    }
}
