//! Balanced ranks: a candidate rank and the right outcome for every input, and the right rank where solved.
#![allow(clippy::unwrap_used)]
mod common;

use common::figure_2b;
use mars_laws::*;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

const GRID: [usize; 8] = [1, 2, 4, 8, 16, 32, 64, 128];

fn options() -> BalanceOptions {
    BalanceOptions { candidates: GRID.to_vec(), ..BalanceOptions::default() }
}

/// A usable rank and no NaN, whatever the input.
fn is_sane(found: &BalancedRank, options: &BalanceOptions) -> bool {
    let on_grid = options.candidates.contains(&found.rank) || found.rank == options.default_rank;
    let raw_sane = found.raw.is_none_or(f64::is_finite);
    let agrees = match found.outcome {
        Outcome::Solved => found.raw.is_some(),
        Outcome::Clamped { raw, to } => {
            found.raw == Some(raw) && to == found.rank && !(1.0..=128.0).contains(&raw)
        }
        Outcome::Fallback(_) => found.rank == options.default_rank,
    };
    on_grid && raw_sane && agrees
}

#[test]
fn ten_thousand_random_pairs_of_laws() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let (mut blocked, mut solved, mut clamped) = (0, 0, 0);
    let options = options();
    for case in 0..10_000 {
        let mut law = |offset: f64| LawC {
            k: rng.random_range(1.0..9.0),
            gamma: -rng.random_range(0.05..0.8_f64),
            delta: rng.random_range(0.5..0.9),
            offset: offset * rng.random::<f64>(),
        };
        let (reference, mut other) = (law(6.0), law(6.0));
        let samples = 1 << rng.random_range(4..15);
        let rank = GRID[rng.random_range(0..GRID.len())];
        let time = reference.predict(rank as f64, samples as f64);
        if case % 4 == 0 {
            other.offset = time * rng.random_range(1.0..3.0);
        }
        let bracket = (time - other.offset) / (other.k * (samples as f64).powf(other.delta));
        let found = balance_laws(&reference, rank, &other, samples, &options);
        assert!(is_sane(&found, &options), "{reference:?} {rank} {other:?} {samples}: {found:?}");
        let gap = |r: usize| (other.predict(r as f64, samples as f64) - time).abs();
        match found.outcome {
            Outcome::Fallback(reason) => {
                assert!(bracket <= 0.0 || reason == FallbackReason::NotFinite);
                assert_eq!(reason == FallbackReason::NonPositiveBracket, bracket <= 0.0);
                blocked += usize::from(bracket <= 0.0);
            }
            Outcome::Clamped { to, .. } => {
                clamped += 1;
                let dense = GRID.into_iter().min_by(|a, b| gap(*a).total_cmp(&gap(*b))).unwrap();
                assert_eq!(to, dense, "an end of the range comes nearest in time");
            }
            Outcome::Solved => {
                solved += 1;
                let raw = found.raw.unwrap();
                let met = other.predict(raw, samples as f64);
                assert!((met / time - 1.0).abs() < 1e-9, "times differ at the solution: {met} {time}");
                let dense = GRID.into_iter().min_by(|a, b| gap(*a).total_cmp(&gap(*b))).unwrap();
                let steps = (found.rank as f64 / dense as f64).log2().abs();
                assert!(steps <= 1.0, "{} is {steps} grid steps from {dense}", found.rank);
            }
        }
    }
    assert!(blocked >= 2_000, "only {blocked} cases without a positive bracket");
    assert!(solved >= 1_000 && clamped >= 1_000, "{solved} solved, {clamped} clamped");
}

#[test]
fn the_edge_of_the_bracket() {
    let other = LawC { k: 4.0, gamma: -0.35, delta: 0.7, offset: 20.0 };
    let at = |time: f64| {
        let reference = LawC { k: time, gamma: 0.0, delta: 0.0, offset: 0.0 };
        balance_laws(&reference, 8, &other, 256, &options())
    };
    assert_eq!(at(20.0).outcome, Outcome::Fallback(FallbackReason::NonPositiveBracket));
    assert_eq!(at(20.0_f64.next_down()).outcome, Outcome::Fallback(FallbackReason::NonPositiveBracket));
    let just_above = at(20.0_f64.next_up());
    assert!(matches!(just_above.outcome, Outcome::Clamped { to: 128, .. }), "{just_above:?}");
    assert!(matches!(at(1e12).outcome, Outcome::Clamped { to: 1, .. }));
    assert!(at(1e300).rank >= 1);
}

#[test]
fn any_input_gives_a_rank() {
    let values = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.0, -0.0, -3.0, 1e-300, 1e300, 0.5, 4.0];
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let odd = [
        options(),
        BalanceOptions { candidates: vec![], default_rank: 0, ..options() },
        BalanceOptions { candidates: vec![0, 0], kappa: f64::NAN, ..options() },
        BalanceOptions { kappa: -1.0, ..options() },
        BalanceOptions { kappa: f64::INFINITY, ..options() },
    ];
    for _ in 0..20_000 {
        let mut pick = || values[rng.random_range(0..values.len())];
        let mut law = || LawC { k: pick(), gamma: pick(), delta: pick(), offset: pick() };
        let (reference, other) = (law(), law());
        let (rank, samples) = (rng.random_range(0..3) * 8, rng.random_range(0..3) * 500);
        for options in &odd {
            let found = balance_laws(&reference, rank, &other, samples, options);
            assert!(found.rank >= 1 && found.raw.is_none_or(f64::is_finite), "{found:?}");
            let inputs = [reference.predict(rank as f64, samples as f64), other.k, other.gamma, other.offset];
            if inputs.iter().any(|v| v.is_nan()) {
                assert_eq!(found.outcome, Outcome::Fallback(FallbackReason::NotFinite));
            }
        }
    }
}

#[test]
fn ratio_follows_from_equal_exponents() {
    let law = |k| LawC { k, gamma: -0.3, delta: 0.7, offset: 0.0 };
    let options = BalanceOptions { candidates: vec![], ..BalanceOptions::default() };
    for samples in [16, 256, 4096] {
        for rank in [8, 16, 64] {
            let found = balance_laws(&law(6.0), rank, &law(4.0), samples, &options);
            let ratio = found.raw.unwrap() / rank as f64;
            assert!((ratio - (6.0_f64 / 4.0).powf(1.0 / -0.3)).abs() < 1e-9, "{ratio}");
        }
    }
    let slower = balance_laws(&law(6.0), 16, &law(6.0), 256, &BalanceOptions { kappa: 2.0, ..options });
    assert!((slower.raw.unwrap() - 16.0 * 2.0_f64.powf(1.0 / -0.3)).abs() < 1e-9);
}

#[test]
fn rounding_is_to_the_nearest_candidate_in_log2() {
    let constant = |t| LawC { k: t, gamma: 0.0, delta: 0.0, offset: 0.0 };
    let inverse = LawC { k: 1.0, gamma: -1.0, delta: 0.0, offset: 0.0 };
    for (raw, rank) in [(8.0, 8), (11.2, 8), (11.4, 16), (22.5, 16), (22.7, 32), (64.0, 64)] {
        let found = balance_laws(&constant(1.0 / raw), 8, &inverse, 100, &BalanceOptions::default());
        assert_eq!((found.rank, found.outcome), (rank, Outcome::Solved), "{raw}");
    }
}

/// A solution is clamped where candidates continued beyond the ends would include a nearer rank.
#[test]
fn a_solution_is_clamped_where_a_longer_grid_would_choose_otherwise() {
    let constant = |t| LawC { k: t, gamma: 0.0, delta: 0.0, offset: 0.0 };
    let inverse = LawC { k: 1.0, gamma: -1.0, delta: 0.0, offset: 0.0 };
    let of = |raw: f64, candidates: &[usize]| {
        let options = BalanceOptions { candidates: candidates.to_vec(), ..BalanceOptions::default() };
        balance_laws(&constant(1.0 / raw), 8, &inverse, 100, &options)
    };
    let longer = [4, 8, 16, 32, 64, 128];
    for i in 0..400 {
        let raw = 2.0 * 2.0_f64.powf(f64::from(i) / 60.0 + 0.001);
        let (short, long) = (of(raw, &[64, 8, 32, 16]), of(raw, &longer));
        let kept = short.rank == long.rank;
        assert_eq!(short.outcome == Outcome::Solved, kept, "{raw}: {short:?} {long:?}");
        assert_eq!(matches!(short.outcome, Outcome::Clamped { .. }), !kept);
        assert!((short.raw.unwrap() / raw - 1.0).abs() < 1e-12);
    }
    assert_eq!((of(7.996, &[8, 16]).rank, of(7.996, &[8, 16]).outcome), (8, Outcome::Solved));
    // Steps of 4 below and of 2 above; a single candidate has steps of an octave.
    for (candidates, lowest, highest) in
        [(vec![4, 16, 32], 2.0, 32.0 * 2.0_f64.sqrt()), (vec![8], 32.0_f64.sqrt(), 128.0_f64.sqrt())]
    {
        for (edge, inward) in [(lowest, 1.01), (highest, 0.99)] {
            assert_eq!(of(edge * inward, &candidates).outcome, Outcome::Solved);
            assert!(matches!(of(edge / inward, &candidates).outcome, Outcome::Clamped { .. }));
        }
    }
}

fn fitted(module: &str, factor: f64, change: impl Fn(usize, usize, f64) -> f64) -> LawCFit {
    let data: Vec<ConvergenceObservation> = figure_2b()
        .into_iter()
        .map(|o| ConvergenceObservation {
            module: module.into(),
            steps: change(o.rank, o.samples, factor * o.steps),
            ..o
        })
        .collect();
    fit_law_c(&data, &LawCOptions { offset: Offset::Never, ..LawCOptions::default() }).unwrap()
}

#[test]
fn good_fits_are_solved_and_the_interval_holds_the_rank() {
    let same = |_, _, t| t;
    let (llm, ve) = (fitted("llm", 1.0, same), fitted("ve", 0.9, same));
    let found = balance(&llm, 32, &ve, 256, &BalanceOptions::default());
    assert_eq!(found.outcome, Outcome::Solved);
    let interval = found.interval.unwrap();
    assert!(interval.contains(found.raw.unwrap()) && interval.octaves() < 2.0, "{found:?}");
    let gate = BalanceOptions { max_octaves: interval.octaves() * 0.99, ..BalanceOptions::default() };
    let refused = balance(&llm, 32, &ve, 256, &gate);
    assert_eq!(refused.outcome, Outcome::Fallback(FallbackReason::IllConditioned));
    assert_eq!((refused.rank, refused.raw), (16, found.raw));
}

#[test]
fn fits_that_do_not_determine_a_rank_are_refused() {
    let ill = Outcome::Fallback(FallbackReason::IllConditioned);
    let llm = fitted("llm", 1.0, |_, _, t| t);
    let flat = fitted("ve", 1.0, |rank, _, t| t * (rank as f64).powf(0.33));
    assert!(flat.interval["gamma"].contains(0.0));
    assert_eq!(balance(&llm, 32, &flat, 256, &BalanceOptions::default()).outcome, ill, "gamma may be 0");
    let noisy =
        fitted("ve", 1.0, |rank, size, t| t * if (rank / 8 + size / 16) % 3 == 0 { 9.0 } else { 1.0 });
    assert!(noisy.r2_log < 0.8, "{}", noisy.r2_log);
    assert_eq!(balance(&llm, 32, &noisy, 256, &BalanceOptions::default()).outcome, ill, "poor fit");
    assert_eq!(balance(&noisy, 32, &llm, 256, &BalanceOptions::default()).outcome, ill, "poor reference");
    let bare = llm.clone().without_bootstrap();
    assert_eq!(balance(&llm, 32, &bare, 256, &BalanceOptions::default()).outcome, ill, "no refits");
    assert_eq!(
        balance(&bare, 32, &llm, 256, &BalanceOptions::default()).outcome,
        ill,
        "no refits of the reference"
    );
}

/// Refits of two modules are paired, so that those of proportional times, drawn alike, would leave the rank no room.
#[test]
fn modules_with_proportional_times_draw_for_themselves() {
    let times = |module: &'static str, factor: f64| {
        figure_2b().into_iter().map(move |o| ConvergenceObservation {
            module: module.into(),
            steps: factor * o.steps,
            ..o
        })
    };
    let all: Vec<_> = times("llm", 1.0).chain(times("ve", 0.9)).collect();
    let options = LawCOptions { offset: Offset::Never, ..LawCOptions::default() };
    let together = fit_law_c_all(&all, &options).unwrap();
    let alone = fitted("llm", 1.0, |_, _, t| t);
    assert_eq!(together["llm"], alone, "the first draws as one that is fitted by itself");
    let apart = balance(&together["llm"], 32, &together["ve"], 256, &BalanceOptions::default());
    let alike = balance(&alone, 32, &fitted("ve", 0.9, |_, _, t| t), 256, &BalanceOptions::default());
    let octaves = |found: &BalancedRank| found.interval.unwrap().octaves();
    assert!(octaves(&apart) > 2.0 * octaves(&alike), "{apart:?} {alike:?}");
}

#[test]
fn a_level_that_is_none_gives_no_interval_and_no_panic() {
    let (llm, ve) = (fitted("llm", 1.0, |_, _, t| t), fitted("ve", 0.9, |_, _, t| t));
    for level in [90.0, 1.0, 0.0, -0.5, f64::NAN, f64::INFINITY] {
        let found = balance(&llm, 32, &ve, 256, &BalanceOptions { level, ..BalanceOptions::default() });
        assert_eq!(found.outcome, Outcome::Fallback(FallbackReason::IllConditioned), "{level}");
        assert_eq!(llm.interval_of(level, |law| law.gamma), Interval::UNBOUNDED, "{level}");
    }
}

#[test]
fn outcomes_serialise_in_lower_case() {
    let json = |outcome: Outcome| serde_json::to_string(&outcome).unwrap();
    assert_eq!(json(Outcome::Solved), "\"solved\"");
    assert_eq!(json(Outcome::Clamped { raw: 80.5, to: 64 }), "{\"clamped\":{\"raw\":80.5,\"to\":64}}");
    let fallback = Outcome::Fallback(FallbackReason::NonPositiveBracket);
    assert_eq!(json(fallback), "{\"fallback\":\"non_positive_bracket\"}");
    assert_eq!(serde_json::from_str::<Outcome>(&json(fallback)).unwrap(), fallback);
}
