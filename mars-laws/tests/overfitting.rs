//! The over-fitting law: planted laws are recovered, lower bounds stay lower bounds, and what says nothing is said to say nothing.
#![allow(clippy::unwrap_used)]
use mars_laws::*;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};
use std::collections::BTreeMap;

const RANKS: [usize; 4] = [4, 8, 16, 32];
const SIZES: [usize; 3] = [64, 256, 1024];

fn ranks(of: &[(&str, usize)]) -> Ranks {
    of.iter().copied().collect()
}

fn seen(of: &[(&str, usize)], samples: usize, steps: f64) -> OverfittingObservation {
    OverfittingObservation { ranks: ranks(of), samples, time: OverfittingTime::Seen { steps, width: 0.0 } }
}

fn after(of: &[(&str, usize)], samples: usize, steps: f64) -> OverfittingObservation {
    OverfittingObservation { ranks: ranks(of), samples, time: OverfittingTime::After { steps } }
}

fn known(gamma: f64) -> BTreeMap<String, RankExponent> {
    ["ve", "llm"].map(|module| (module.to_owned(), RankExponent { gamma, error: 0.05 })).into()
}

fn law(observations: &[OverfittingObservation], gamma: f64) -> OverfittingLaw {
    overfitting_law(observations, &known(gamma), &OverfittingOptions::default()).unwrap()
}

fn time(rank: usize, samples: usize, (k, gamma, delta): (f64, f64, f64)) -> f64 {
    k * (rank as f64).powf(gamma) * (samples as f64).powf(delta)
}

/// Every rank at every size, times multiplied by `e^error`.
fn planted(truth: (f64, f64, f64), mut error: impl FnMut() -> f64) -> Vec<OverfittingObservation> {
    let design = SIZES.iter().flat_map(|size| RANKS.iter().map(move |rank| (*rank, *size)));
    design.map(|(rank, size)| seen(&[("llm", rank)], size, time(rank, size, truth) * error().exp())).collect()
}

fn near(a: f64, b: f64, relative: f64) -> bool {
    (a - b).abs() <= relative * b.abs()
}

fn truths() -> impl Strategy<Value = (f64, f64, f64)> {
    (5.0..60.0, -0.6..-0.1, 0.2..0.8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn planted_laws_are_recovered(truth in truths()) {
        let found = law(&planted(truth, || 0.0), truth.1);
        let target = ranks(&[("llm", 64)]);
        let estimate = found.estimate(&target, 4096);
        prop_assert!(near(estimate.steps.unwrap(), time(64, 4096, truth), 0.15), "{estimate:?}");
        prop_assert!(estimate.interval.contains(time(64, 4096, truth)));
        let (module, [_, gamma, delta]) = found.parameters(&target)[0];
        prop_assert_eq!(module, "llm");
        prop_assert!((gamma - truth.1).abs() < 1e-6 && (delta - truth.2).abs() < 0.03, "{gamma} {delta}");
    }

    #[test]
    fn the_unit_of_time_and_the_order_do_not_matter(truth in truths(), unit in 0.01..100.0) {
        let ours = planted(truth, || 0.0);
        let mut scaled: Vec<_> = ours.iter().map(|one| match one.time {
            OverfittingTime::Seen { steps, width } => OverfittingObservation {
                time: OverfittingTime::Seen { steps: steps * unit, width },
                ..one.clone()
            },
            OverfittingTime::After { .. } => one.clone(),
        }).collect();
        scaled.reverse();
        let at = ranks(&[("llm", 8)]);
        let (a, b) = (law(&ours, -0.4).estimate(&at, 512), law(&scaled, -0.4).estimate(&at, 512));
        prop_assert!(near(b.steps.unwrap(), a.steps.unwrap() * unit, 1e-6));
        prop_assert!(near(b.interval.lo, a.interval.lo * unit, 1e-6) && near(b.interval.hi, a.interval.hi * unit, 1e-6));
    }

    #[test]
    fn a_run_that_did_not_over_fit_is_a_lower_bound(
        steps in 10.0..2000.0, rank in 1..64usize, size in 16..8192usize, higher in 1..8usize, more in 1..8usize,
    ) {
        let found = law(&[after(&[("llm", rank)], size, steps)], -0.4);
        let bound = |rank: usize, size: usize| {
            let estimate = found.estimate(&ranks(&[("llm", rank)]), size);
            assert_eq!((estimate.steps, estimate.interval.hi), (None, f64::INFINITY));
            estimate.interval.lo
        };
        prop_assert!(near(bound(rank, size), steps, 1e-9));
        // Never more than is known: not above the bound at higher ranks or fewer samples, not below it the other way round.
        prop_assert!(bound(rank * higher, size) <= steps * 1.000001);
        prop_assert!(bound(rank, size * more) >= steps * 0.999999);
        prop_assert!(bound(rank, (size / more).max(1)) <= steps * 1.000001);
        prop_assert!(bound((rank / higher).max(1), size) >= steps * 0.999999);
    }

    #[test]
    fn a_later_lower_bound_only_raises_the_estimate(truth in truths(), part in 0.2..3.0) {
        let plain = planted(truth, || 0.0);
        let mut more = plain.clone();
        more.push(after(&[("llm", 16)], 512, part * time(16, 512, truth)));
        let at = ranks(&[("llm", 16)]);
        let (without, with) = (law(&plain, truth.1).estimate(&at, 512), law(&more, truth.1).estimate(&at, 512));
        prop_assert!(with.steps.unwrap() >= without.steps.unwrap() * 0.999999);
        prop_assert!(with.interval.lo >= without.interval.lo * 0.999999);
        if part < 0.5 {
            prop_assert!(near(with.steps.unwrap(), without.steps.unwrap(), 1e-6), "what the law says anyway changes nothing");
        }
    }

    #[test]
    fn one_run_is_enough_and_says_less_the_farther_it_is(truth in truths(), rank in 1..64usize) {
        let steps = time(rank, 256, truth);
        let found = law(&[seen(&[("llm", rank)], 256, steps)], truth.1);
        let width = |size: usize| {
            let estimate = found.estimate(&ranks(&[("llm", rank)]), size);
            (estimate.interval.hi / estimate.interval.lo).ln()
        };
        prop_assert!(near(found.estimate(&ranks(&[("llm", rank)]), 256).steps.unwrap(), steps, 1e-6));
        prop_assert!(width(256) < width(1024) && width(1024) < width(4096) && width(64) < width(16));
    }

    #[test]
    fn the_module_that_over_fits_first_is_found(truth in truths(), first in 0..2usize) {
        let modules = ["llm", "ve"];
        let pairs = [(4, 4), (4, 32), (32, 4), (32, 32), (8, 16), (16, 8)];
        let runs: Vec<_> = pairs.iter().map(|&(a, b)| {
            let led = if first == 0 { a } else { b };
            seen(&[("llm", a), ("ve", b)], 256, time(led, 256, (truth.0, -0.4, truth.2)))
        }).collect();
        let found = law(&runs, -0.4);
        let parameters = found.parameters(&runs[0].ranks);
        prop_assert_eq!(parameters.len(), 1);
        prop_assert_eq!(parameters[0].0, modules[first]);
    }
}

#[test]
fn intervals_hold_the_next_run_as_often_as_they_say() {
    let truth = (20.0, -0.4, 0.5);
    let mut hits = 0;
    for seed in 0..400 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let noise = Normal::new(0.0, 0.2).unwrap();
        let exponent = -0.4 + 0.05 * Normal::new(0.0, 1.0).unwrap().sample(&mut rng);
        let delta = 0.5 + 0.25 * Normal::new(0.0, 1.0).unwrap().sample(&mut rng);
        let truth = (truth.0, exponent, delta);
        let runs: Vec<_> = [(32, 256), (16, 256), (32, 1024)]
            .map(|(rank, size)| {
                seen(&[("llm", rank)], size, time(rank, size, truth) * f64::exp(noise.sample(&mut rng)))
            })
            .into();
        let estimate = law(&runs, -0.4).estimate(&ranks(&[("llm", 4)]), 4096);
        let next = time(4, 4096, truth) * f64::exp(noise.sample(&mut rng));
        hits += usize::from(estimate.interval.contains(next));
    }
    // Binomial with 400 draws of 95 %: a standard error of 1.1 points.
    assert!((366..=394).contains(&hits), "{hits} of 400");
}

#[test]
fn equal_ranks_leave_open_which_module_is_first() {
    let run = |ve: usize, llm: usize| ranks(&[("ve", ve), ("llm", llm)]);
    let found = law(&[seen(&[("ve", 32), ("llm", 32)], 512, 120.0)], -0.4);
    assert_eq!(found.parameters(&run(8, 8)).len(), 2);
    let estimate = |ve, llm| found.estimate(&run(ve, llm), 512);
    assert!(near(estimate(32, 32).steps.unwrap(), 120.0, 1e-6));
    // Both ranks an eighth: 8^0.4 times as long, whichever module it is; one of them: between none and that.
    assert!(near(estimate(4, 4).steps.unwrap(), 120.0 * 8f64.powf(0.4), 1e-3));
    let one = estimate(4, 32);
    assert!(one.interval.contains(120.0) && one.interval.contains(120.0 * 8f64.powf(0.4)), "{one:?}");
}

#[test]
fn a_run_of_all_modules_is_over_with_the_first_of_them() {
    let runs =
        [seen(&[("llm", 32)], 256, 60.0), seen(&[("llm", 4)], 256, 140.0), after(&[("ve", 32)], 256, 110.0)];
    let found = law(&runs, -0.4);
    let joint = found.estimate(&ranks(&[("ve", 32), ("llm", 32)]), 256);
    assert!(near(joint.steps.unwrap(), 60.0, 0.1), "{joint:?}");
    // The vision encoder is not known to last longer than 110 steps.
    let low = found.estimate(&ranks(&[("ve", 32), ("llm", 1)]), 256);
    assert!(low.interval.lo <= 110.0 + 1e-6 && low.interval.hi > 110.0, "{low:?}");
    assert_eq!(found.refusal(&ranks(&[("ve", 4)])), Some(OverfittingRefusal::NoneSeen { runs: 1 }));
    // A module that nothing is known of may be over at once.
    let silent = law(&[after(&[("llm", 32)], 256, 500.0)], -0.4);
    let joint = silent.estimate(&ranks(&[("ve", 32), ("llm", 32)]), 256);
    assert_eq!((joint.steps, joint.interval.lo), (None, 0.0));
    assert_eq!(joint.verdict(100.0), OverfittingVerdict::Unknown);
}

#[test]
fn a_run_of_the_same_ranks_and_samples_outweighs_the_law() {
    let small = RANKS.map(|rank| seen(&[("llm", rank)], 64, time(rank, 64, (30.0, -0.4, 0.3))));
    let at = ranks(&[("llm", 32)]);
    let expected = law(&small, -0.4).estimate(&at, 4096).steps.unwrap();
    let long = after(&[("llm", 32)], 4096, 2.0 * expected);
    let runs: Vec<_> = small.iter().cloned().chain([long]).collect();
    assert_eq!(law(&runs, -0.4).estimate(&at, 4096).verdict(2.0 * expected), OverfittingVerdict::Before);
    // Another seed that did over-fit at those ranks: no bound any more.
    let runs: Vec<_> = runs.into_iter().chain([seen(&[("llm", 32)], 4096, expected)]).collect();
    assert_eq!(law(&runs, -0.4).estimate(&at, 4096).verdict(2.0 * expected), OverfittingVerdict::Near);
}

#[test]
fn a_planned_run_is_compared_with_the_interval() {
    let found = law(&[seen(&[("llm", 32)], 512, 120.0)], -0.4);
    let estimate = found.estimate(&ranks(&[("llm", 32)]), 512);
    let verdicts = [40.0, 120.0, 1200.0].map(|steps| estimate.verdict(steps));
    assert_eq!(verdicts, [OverfittingVerdict::Before, OverfittingVerdict::Near, OverfittingVerdict::After]);
    // Ten times the steps last on 10^(1/delta) times the samples.
    let needed = found.samples_for(&ranks(&[("llm", 32)]), 512, 1200.0).unwrap();
    assert!(near(needed, 51200.0, 1e-3), "{needed}");
    let bound = law(&[after(&[("llm", 32)], 512, 1200.0)], -0.4);
    assert_eq!(bound.estimate(&ranks(&[("llm", 32)]), 512).verdict(1200.0), OverfittingVerdict::Before);
    assert_eq!(bound.samples_for(&ranks(&[("llm", 32)]), 512, 1200.0), None);
}

#[test]
fn times_that_follow_no_law_are_refused() {
    let wild: Vec<_> = RANKS
        .iter()
        .enumerate()
        .map(|(i, rank)| seen(&[("llm", *rank)], 256, [40.0, 900.0][i % 2]))
        .collect();
    let found = law(&wild, -0.4);
    let refusal = found.refusal(&wild[0].ranks).unwrap();
    assert!(
        matches!(refusal, OverfittingRefusal::NotOneLaw { .. })
            && refusal.to_string().contains("standard errors")
    );
    assert_eq!(found.estimate(&wild[0].ranks, 256).steps, None);
    // Times that rise with the rank contradict a Law-C by which they fall.
    let rising: Vec<_> =
        RANKS.iter().map(|rank| seen(&[("llm", *rank)], 256, 10.0 * (*rank as f64).powf(0.9))).collect();
    assert!(law(&rising, -0.4).refusal(&rising[0].ranks).is_some());
}

#[test]
fn what_is_no_observation_or_option_is_named() {
    let one = || seen(&[("llm", 4)], 64, 10.0);
    let failed = |observation: OverfittingObservation| {
        overfitting_law(&[one(), observation], &known(-0.4), &OverfittingOptions::default())
            .unwrap_err()
            .to_string()
    };
    assert!(failed(OverfittingObservation { ranks: Ranks::new(), ..one() }).contains("observation 1: ranks"));
    assert!(failed(OverfittingObservation { samples: 0, ..one() }).contains("samples is 0"));
    for steps in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(failed(after(&[("llm", 4)], 64, steps)).contains("steps"), "{steps}");
    }
    let options = OverfittingOptions { scatter: 0.0, ..OverfittingOptions::default() };
    let error = overfitting_law(&[one()], &known(-0.4), &options).unwrap_err().to_string();
    assert!(error.contains("`scatter` is 0"), "{error}");
    let nothing = overfitting_law(&[], &BTreeMap::new(), &OverfittingOptions::default()).unwrap();
    assert_eq!(nothing.counts(), (0, 0));
    assert_eq!(nothing.estimate(&ranks(&[("llm", 4)]), 64).interval.lo, 0.0);
}

#[test]
fn exponents_come_from_law_c() {
    let of = |gamma, lo, hi| RankExponent::of_law_c(gamma, Interval { lo, hi });
    assert!(near(of(-0.4, -0.6, -0.2).error, 0.4 / 3.92, 1e-9));
    assert_eq!(of(-0.4, -0.41, -0.39), RankExponent { gamma: -0.4, error: 0.05 });
    assert_eq!(of(0.2, 0.0, 0.4).gamma, 0.0);
    assert_eq!(of(-0.4, f64::NEG_INFINITY, f64::INFINITY), RankExponent::UNKNOWN);
}

/// The validation curves of the embedded task, `llm` alone: the lowest losses come at times whose exponent of the rank is that of Law-C.
#[test]
fn over_fitting_of_the_embedded_language_model_has_the_exponent_of_law_c() {
    let text = include_str!("fixtures/embedded_alone_curves.csv");
    let mut curves: BTreeMap<(usize, usize), Vec<(f64, f64)>> = BTreeMap::new();
    for line in text.lines().skip(1).filter(|line| line.starts_with("llm,")) {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |i: usize| cells[i].parse::<f64>().unwrap();
        curves.entry((number(1) as usize, number(2) as usize)).or_default().push((number(3), number(4)));
    }
    let mut runs = Vec::new();
    for ((size, rank), curve) in &curves {
        let best = (1..curve.len()).min_by(|a, b| curve[*a].1.total_cmp(&curve[*b].1)).unwrap();
        let rise = (curve[curve.len() - 3..].iter().map(|point| point.1).sum::<f64>() / 3.0 - curve[best].1)
            / (curve[0].1 - curve[best].1);
        let time = if rise > 0.05 {
            let width = (curve[best + 1].0 / curve[best - 1].0).ln();
            OverfittingTime::Seen { steps: curve[best].0, width }
        } else {
            OverfittingTime::After { steps: curve[best].0 }
        };
        runs.push(OverfittingObservation { ranks: ranks(&[("llm", *rank)]), samples: *size, time });
    }
    assert_eq!(
        runs.iter().filter(|run| run.time.is_seen()).count(),
        8,
        "all of 64 and 256 samples, none of 1,024"
    );
    // Nothing known of the exponent: what the times say by themselves.
    let free = [("llm".to_owned(), RankExponent { gamma: -0.4, error: 100.0 })].into();
    let free = overfitting_law(&runs, &free, &OverfittingOptions::default()).unwrap();
    let (_, [_, gamma, delta]) = free.parameters(&runs[0].ranks)[0];
    let registered: Vec<LossCurve> = curves
        .iter()
        .filter(|((size, _), _)| *size == 256)
        .map(|((_, rank), curve)| {
            LossCurve::new(*rank, curve.iter().copied().filter(|(step, _)| *step <= 64.0))
        })
        .collect();
    let law_c =
        register(&registered, &RegistrationOptions { draws: 0, ..RegistrationOptions::default() }).unwrap();
    let law_c = law_c.registration().unwrap().gamma;
    // Its standard error is 0.09.
    assert!((gamma - law_c).abs() < 0.15, "over-fitting {gamma:.3}, convergence {law_c:.3}");
    assert!((0.3..0.8).contains(&delta), "{delta}");
    let tied = [("llm".to_owned(), RankExponent { gamma: law_c, error: 0.05 })].into();
    let tied = overfitting_law(&runs, &tied, &OverfittingOptions::default()).unwrap();
    assert_eq!(tied.refusal(&runs[0].ranks), None);
    let seen = runs.iter().filter(|run| run.time.is_seen());
    let within =
        seen.filter(|run| tied.estimate(&run.ranks, run.samples).interval.contains(run.time.steps()));
    assert!(within.count() >= 7, "95 % of 8");
}
