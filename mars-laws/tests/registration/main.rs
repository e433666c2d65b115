//! Registration: planted shifts are recovered, units and order do not matter, and what is not one curve is refused.
#![allow(clippy::unwrap_used)]
mod law;

use mars_laws::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use rayon::prelude::*;

/// Shapes of a loss that falls from 4: exponential, a slow start, a power law, two phases.
const SHAPES: [fn(f64) -> f64; 4] = [
    |t| 4.0 - 3.0 * (1.0 - (-t / 40.0).exp()),
    |t| 4.0 - 3.0 * (1.0 - (-(t / 50.0).powf(1.6)).exp()),
    |t| 4.0 - 3.0 * t / (t + 60.0),
    |t| 4.0 - 1.0 * (1.0 - (-t / 20.0).exp()) - 2.0 * (1.0 - (-(t / 90.0).powi(2)).exp()),
];

/// Curves at `ranks` evaluated every `every` steps until `until`: t(r) ~ r^gamma.
fn planted(shape: fn(f64) -> f64, ranks: &[usize], gamma: f64, every: usize, until: usize) -> Vec<LossCurve> {
    let curve = |&rank: &usize| {
        let speed = (rank as f64 / ranks[0] as f64).powf(-gamma);
        LossCurve::new(rank, (0..=until).step_by(every).map(|t| (t as f64, shape(t as f64 * speed))))
    };
    ranks.iter().map(curve).collect()
}

fn noisy(curves: &[LossCurve], deviation: f64, seed: u64) -> Vec<LossCurve> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let noise = Normal::new(0.0, deviation).unwrap();
    let mut curves = curves.to_vec();
    curves.iter_mut().for_each(|c| c.losses[1..].iter_mut().for_each(|loss| *loss += noise.sample(&mut rng)));
    curves
}

fn registered(curves: &[LossCurve], options: &RegistrationOptions) -> Registration {
    match register(curves, options).unwrap() {
        RegistrationOutcome::Registered(registration) => registration,
        RegistrationOutcome::Refused { why } => panic!("{why}"),
    }
}

fn plain() -> RegistrationOptions {
    RegistrationOptions { draws: 0, ..RegistrationOptions::default() }
}

#[test]
fn planted_exponents_are_recovered_from_few_evaluations() {
    for shape in SHAPES {
        for gamma in [-0.15, -0.33, -0.45] {
            for ranks in [vec![4, 8, 16, 32], vec![4, 32], vec![2, 8, 32], vec![8, 16]] {
                for until in [48, 96, 320] {
                    let curves = planted(shape, &ranks, gamma, 8, until);
                    let found = registered(&curves, &plain());
                    assert!((found.gamma - gamma).abs() < 0.02, "{gamma} {ranks:?} {until}: {found:?}");
                    if let Some(r2) = found.straightness {
                        assert!(r2 > 0.99, "{gamma} {ranks:?} {until}: {r2}");
                    }
                }
            }
        }
    }
}

#[test]
fn intervals_hold_the_planted_exponent_as_often_as_they_say() {
    let gamma = -0.38;
    let hits: usize = (0..200_u64)
        .into_par_iter()
        .filter(|&seed| {
            let shape = SHAPES[seed as usize % 4];
            let curves = noisy(&planted(shape, &[4, 8, 32], gamma, 8, 64), 0.02, seed);
            let options = RegistrationOptions { seed, draws: 100, ..RegistrationOptions::default() };
            registered(&curves, &options).gamma_interval.contains(gamma)
        })
        .count();
    // Binomial with 200 draws of 95 %: a standard error of 1.5 points.
    assert!((178..=200).contains(&hits), "{hits} of 200");
}

#[test]
fn where_the_rank_buys_no_speed_the_exponent_is_zero() {
    for seed in 0..8 {
        let curves = noisy(&planted(SHAPES[0], &[4, 8, 16, 32], 0.0, 8, 64), 0.02, seed);
        let found = registered(&curves, &RegistrationOptions::default());
        assert!(found.gamma.abs() < 0.05 && found.gamma_interval.contains(0.0), "{found:?}");
    }
}

#[test]
fn units_order_and_threads_do_not_matter() {
    let curves = noisy(&planted(SHAPES[1], &[4, 8, 32], -0.4, 8, 80), 0.01, 7);
    let options = RegistrationOptions { draws: 50, ..RegistrationOptions::default() };
    let found = registered(&curves, &options);
    let mut reversed = curves.clone();
    reversed.reverse();
    let close = |other: &Registration| {
        found
            .shifts
            .iter()
            .zip(&other.shifts)
            .all(|(a, b)| a.rank == b.rank && (a.shift - b.shift).abs() < 1e-6)
    };
    assert!(close(&registered(&reversed, &options)));
    let mut other = curves.clone();
    for curve in &mut other {
        curve.times.iter_mut().for_each(|time| *time *= 16.0);
        curve.losses.iter_mut().for_each(|loss| *loss *= 2.0);
    }
    assert!(close(&registered(&other, &options)));
    let doubled: Vec<LossCurve> = curves.iter().chain(&curves).cloned().collect();
    assert!((registered(&doubled, &options).gamma - found.gamma).abs() < 0.02);
    let single = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(single.install(|| registered(&curves, &options)), found);
}

/// The choice of the validation samples widens intervals, and only that: the estimate stays.
#[test]
fn blocks_of_samples_widen_the_intervals() {
    let mut curves = noisy(&planted(SHAPES[0], &[4, 8, 32], -0.4, 8, 80), 0.002, 3);
    let options = RegistrationOptions { draws: 400, ..RegistrationOptions::default() };
    let narrow = registered(&curves, &options);
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let speeds: Vec<f64> = (0..16).map(|_| rng.random_range(0.3..1.7)).collect();
    let mean = speeds.iter().sum::<f64>() / 16.0;
    for curve in &mut curves {
        // Blocks that differ in how much there is to learn, and at higher ranks a little more.
        let extra = |i: usize| if i.is_multiple_of(2) { 0.1 } else { -0.1 } * (curve.rank as f64 / 32.0);
        let row = |loss: &f64| {
            (0..16).map(|i| 4.0 - (4.0 - loss) * (speeds[i] / mean + extra(i))).collect::<Vec<f64>>()
        };
        curve.blocks = curve.losses.iter().map(row).collect();
    }
    let wide = registered(&curves, &options);
    let width = |r: &Registration| r.gamma_interval.hi - r.gamma_interval.lo;
    assert!((wide.gamma - narrow.gamma).abs() < 1e-12);
    assert!(width(&wide) > 1.5 * width(&narrow), "{} {}", width(&wide), width(&narrow));
}

#[test]
fn times_of_all_ranks_follow_from_that_of_one() {
    let found = registered(&planted(SHAPES[0], &[4, 8, 32], -0.5, 8, 80), &plain());
    let times = found.times(&[(32, 20.0)]).unwrap();
    assert_eq!(times.iter().map(|(rank, _)| *rank).collect::<Vec<_>>(), [4, 8, 32]);
    for (rank, time) in times {
        let expected = 20.0 * (rank as f64 / 32.0).powf(-0.5);
        assert!((time / expected - 1.0).abs() < 0.05, "{rank}: {time} {expected}");
    }
    assert_eq!(found.times(&[(16, 20.0)]), None);
    assert_eq!(found.times(&[(32, 0.0)]), None);
    assert_eq!(found.times(&[]), None);
    // Contradicting times meet in the middle of their logarithms.
    let [slow, fast] = [18.0, 22.0].map(|time| found.times(&[(32, time)]).unwrap()[0].1);
    let both = found.times(&[(32, 18.0), (32, 22.0)]).unwrap()[0].1;
    assert!((both / (slow * fast).sqrt() - 1.0).abs() < 1e-12);

    let curves = planted(SHAPES[0], &[4, 8, 32], -0.5, 8, 80);
    let timed = |times: [Option<f64>; 3]| -> Vec<TimedCurve> {
        curves.iter().cloned().zip(times).map(|(curve, time)| TimedCurve { curve, time }).collect()
    };
    let of_one = registered_times(&timed([None, None, Some(20.0)]), &plain()).unwrap();
    assert!((of_one.times[0].unwrap() / 56.6 - 1.0).abs() < 0.05, "{:?}", of_one.times);
    assert_eq!(registered_times(&timed([None; 3]), &plain()).unwrap().times, [None; 3]);
    // Where the curves are refused, runs keep the times of their own.
    let refused = registered_times(&timed([None, None, Some(20.0)])[2..], &plain()).unwrap();
    assert_eq!(refused.times, [Some(20.0)]);
    assert_eq!(refused.outcome, RegistrationOutcome::Refused { why: Refusal::TooFewCurves });
}

#[test]
fn what_is_not_one_curve_is_refused_with_the_reason() {
    let refusal = |curves: &[LossCurve]| match register(curves, &plain()).unwrap() {
        RegistrationOutcome::Refused { why } => why,
        RegistrationOutcome::Registered(found) => panic!("{found:?}"),
    };
    let fine = planted(SHAPES[0], &[4, 8, 32], -0.4, 8, 160);
    assert_eq!(refusal(&fine[..1]), Refusal::TooFewCurves);
    assert_eq!(refusal(&[]), Refusal::TooFewCurves);

    let mut flat = fine.clone();
    flat[1].losses.iter_mut().for_each(|loss| *loss = 4.0 - (4.0 - *loss) * 0.005);
    assert!(matches!(refusal(&flat), Refusal::NoImprovement { rank: 8, part } if part < 0.02));

    for (curve, depth) in [(2, 0.35), (1, 0.3), (2, 0.5)] {
        let mut shallow = fine.clone();
        shallow[curve].losses.iter_mut().for_each(|loss| *loss = 4.0 - (4.0 - *loss) * depth);
        let why = refusal(&shallow);
        let expected = matches!(why, Refusal::NotOneCurve { .. } | Refusal::NotStraight { .. });
        assert!(expected, "{curve} {depth}: {why:?}");
    }

    let apart = planted(SHAPES[2], &[1, 64], -1.0, 8, 48);
    let why = refusal(&apart);
    assert!(matches!(why, Refusal::NoOverlap { .. } | Refusal::NotDetermined), "{why:?}");

    let few = planted(SHAPES[0], &[4, 8], -0.4, 24, 48);
    assert!(matches!(refusal(&few), Refusal::TooFewPoints { found: 4, .. }), "{:?}", refusal(&few));

    let rising: Vec<LossCurve> =
        fine.iter().map(|c| LossCurve::new(c.rank, c.times.iter().map(|t| (*t, 4.0 + t)))).collect();
    assert!(matches!(refusal(&rising), Refusal::NoImprovement { .. }));
}

#[test]
fn a_loss_of_zero_cannot_improve() {
    let curve = |rank| LossCurve::new(rank, (0..9).map(|t| (8.0 * f64::from(t), 0.0)));
    let found = register(&[curve(4), curve(32)], &plain()).unwrap();
    assert!(matches!(found, RegistrationOutcome::Refused { why: Refusal::NoImprovement { part: 0.0, .. } }));
}

#[test]
fn options_come_back_from_json() {
    for options in [RegistrationOptions::default(), RegistrationOptions { until: 64.0, ..plain() }] {
        let text = serde_json::to_string(&options).unwrap();
        assert_eq!(serde_json::from_str::<RegistrationOptions>(&text).unwrap(), options, "{text}");
    }
    assert_eq!(serde_json::from_str::<RegistrationOptions>("{}").unwrap(), RegistrationOptions::default());
}

#[test]
fn malformed_curves_are_errors_that_name_the_field() {
    let fine = planted(SHAPES[0], &[4, 8, 32], -0.4, 8, 160);
    let with = |change: fn(&mut LossCurve)| {
        let mut curves = fine.clone();
        change(&mut curves[1]);
        register(&curves, &plain()).unwrap_err().to_string()
    };
    for (change, expected) in [
        ((|c| c.rank = 0) as fn(&mut LossCurve), "observation 1: rank is 0"),
        (|c| c.times[0] = 1.0, "observation 1: times[0] is 1"),
        (|c| c.times[3] = c.times[2], "observation 1: times[3] is 16"),
        (|c| c.losses[2] = f64::NAN, "observation 1: losses[2] is NaN"),
        (|c| c.losses.truncate(3), "observation 1: losses is 3 values"),
        (|c| c.blocks = vec![vec![1.0]], "observation 1: blocks is 1 rows"),
    ] {
        let message = with(change);
        assert!(message.starts_with(expected), "{message}");
    }
    for options in [
        RegistrationOptions { level: 1.0, ..plain() },
        RegistrationOptions { until: 0.0, ..plain() },
        RegistrationOptions { min_overlap: 1.5, ..plain() },
        RegistrationOptions { max_misfit: f64::NAN, ..plain() },
        RegistrationOptions { min_improvement: -0.1, ..plain() },
    ] {
        assert!(matches!(register(&fine, &options), Err(Error::BadOption { .. })), "{options:?}");
    }
}

/// Runs of the embedded task with one module adapted: constant scale 2, learning rate 1e-3 after 10 steps of warm-up,
/// batch 16, ranks 4 to 32 on 64, 256 and 1,024 samples, evaluated every 8 of 320 steps.
fn embedded() -> Vec<(String, usize, Vec<LossCurve>)> {
    let mut groups: Vec<(String, usize, Vec<LossCurve>)> = Vec::new();
    for line in include_str!("../fixtures/embedded_alone_curves.csv").lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |i: usize| cells[i].parse::<usize>().unwrap();
        if groups.last().is_none_or(|(module, samples, _)| module != cells[0] || *samples != number(1)) {
            groups.push((cells[0].into(), number(1), Vec::new()));
        }
        let (_, _, curves) = groups.last_mut().unwrap();
        if curves.last().is_none_or(|curve| curve.rank != number(2)) {
            curves.push(LossCurve::new(number(2), []));
        }
        let curve = curves.last_mut().unwrap();
        curve.times.push(number(3) as f64);
        curve.losses.push(cells[4].parse().unwrap());
    }
    groups
}

/// Exponents from the first 64 steps are those of longer windows, wherever longer windows are one curve.
#[test]
fn exponents_of_real_runs_are_there_after_64_steps() {
    let groups = embedded();
    assert_eq!(groups.len(), 6);
    for (module, samples, curves) in groups {
        let until = |until: f64| register(&curves, &RegistrationOptions { until, ..plain() }).unwrap();
        let RegistrationOutcome::Registered(early) = until(64.0) else { panic!("{module} {samples}") };
        assert!((-0.48..-0.35).contains(&early.gamma), "{module} {samples}: {}", early.gamma);
        assert!(early.straightness > Some(0.99) && early.misfit < 0.06, "{module} {samples}: {early:?}");
        for long in [96.0, 160.0, 320.0] {
            if let RegistrationOutcome::Registered(late) = until(long) {
                let apart = (late.gamma - early.gamma).abs();
                assert!(apart < 0.06, "{module} {samples}, {long} steps: {} {}", early.gamma, late.gamma);
            }
        }
    }
}

/// Law-C of real runs from 64 steps of three ranks and one run to its convergence, against the crossings of 90 % of the
/// improvement that each rank's own run of 320 steps has (the time of the highest rank is given to both).
#[test]
fn a_law_from_64_steps_gives_the_times_of_runs_five_times_as_long() {
    let crossings = [("llm", [66.0, 51.0, 39.0, 32.0]), ("ve", [207.0, 164.0, 112.0, 107.0])];
    for (module, samples, curves) in embedded().into_iter().filter(|(_, samples, _)| *samples == 1024) {
        let (_, times) = crossings.iter().find(|(name, _)| *name == module).unwrap();
        let run = |curve: &LossCurve| {
            let highest = curve.rank == 32;
            let kept = if highest { curve.times.len() } else { 9 };
            let points = curve.times.iter().copied().zip(curve.losses.iter().copied()).take(kept);
            TimedCurve { curve: LossCurve::new(curve.rank, points), time: highest.then_some(times[3]) }
        };
        let set = CalibrationSet { samples, runs: curves.iter().map(run).collect() };
        let fit = registered_law_c(&module, &[set], &RegistrationOptions::default()).unwrap().law.unwrap();
        assert!((-0.48..-0.33).contains(&fit.law.gamma) && fit.r2_log > 0.95, "{module}: {:?}", fit.law);
        for (rank, time) in [4.0, 8.0, 16.0].into_iter().zip(times) {
            let off = fit.law.predict(rank, samples as f64) / time;
            assert!((0.75..1.34).contains(&off), "{module}, rank {rank}: {off}");
        }
    }
}
