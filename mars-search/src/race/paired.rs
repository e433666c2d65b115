//! Whether one run is better than another, from losses on the same validation samples.
//!
//! With `d_b = a_b - b_b` the differences of `n >= 3` blocks: `t = (mean(d) - margin) / (s / sqrt(n))`, where `s^2
//! = sum((d_b - mean(d))^2) / (n - 1)`, against Student's t with `n - 1` degrees of freedom. That treats the block
//! means as independent and nearly normal, which holds for blocks of disjoint samples. The p-value is about the
//! validation samples only: the noise of another seed is not in it.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use statrs::distribution::{ContinuousCDF, StudentsT};
use std::f64::consts::TAU;

/// Redrawn sets of blocks.
/// The standard error of a share of one half is 0.016.
const DRAWS: usize = 1000;

/// The least share that so many draws tell, and what the largest leaves: one draw more could have been another.
const LEAST_SHARE: f64 = 1.0 / (DRAWS + 1) as f64;

/// The least regret: one draw more could have been behind by 0.1 % of perplexity.
const LEAST_REGRET: f64 = 1e-3 * LEAST_SHARE;

/// The difference of two validation losses on the same blocks of samples.
///
/// Runs that share validation samples (and data order and seed) share most of their noise, so that the differences of
/// blocks scatter far less than the losses do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Paired {
    /// Mean loss of the first minus mean loss of the second, in nats.
    pub(crate) difference: f64,
    /// Standard error of the difference, in nats.
    pub(crate) error: f64,
    /// Degrees of freedom: blocks - 1.
    freedom: f64,
}

impl Paired {
    /// `None` where there are no blocks, fewer than three, or not the same number of them.
    /// `first` and `second` are losses by block, in nats per answer token, block `b` of both over the same samples.
    /// Also `None` where a loss is not finite.
    pub(crate) fn of(first: &[f64], second: &[f64]) -> Option<Self> {
        let n = first.len();
        if n < 3 || second.len() != n {
            return None;
        }
        let differences: Vec<f64> = first.iter().zip(second).map(|(a, b)| a - b).collect();
        let mean = differences.iter().sum::<f64>() / n as f64;
        let squares: f64 = differences.iter().map(|d| (d - mean).powi(2)).sum();
        let error = (squares / (n * (n - 1)) as f64).sqrt();
        let all = mean.is_finite() && error.is_finite();
        all.then_some(Self { difference: mean, error, freedom: (n - 1) as f64 })
    }

    /// The least difference that the blocks tell from none, in nats: half of the two-sided 95 % interval of Student's t,
    /// `t_(0.975, n - 1) * error`.
    pub(crate) fn resolvable(&self) -> f64 {
        match StudentsT::new(0.0, 1.0, self.freedom) {
            Ok(t) => t.inverse_cdf(0.975) * self.error,
            Err(_) => f64::INFINITY,
        }
    }

    /// One-sided p-value of "the first is not worse than the second by more than `margin` nats": small where the
    /// first is clearly worse. Student's t over the blocks.
    /// In 0 to 1. Without any scatter it is 0 or 1 by the sign of the difference.
    pub(crate) fn p_worse(&self, margin: f64) -> f64 {
        let excess = self.difference - margin;
        if self.error == 0.0 {
            return if excess > 0.0 { 0.0 } else { 1.0 };
        }
        match StudentsT::new(0.0, 1.0, self.freedom) {
            Ok(t) => t.sf(excess / self.error),
            Err(_) => 1.0,
        }
    }
}

/// How sure it is that the first of `runs` (losses by block, all of the same blocks) is the best: the share of redrawn
/// sets of blocks on which it has the lowest mean, and the mean relative excess of its perplexity over the lowest.
/// `None` where the blocks do not allow it.
///
/// Returns (probability, `mean(exp(m_1 - min_i m_i) - 1)`), never 0 or 1, which draws cannot tell, both over 1,000 draws,
/// reproducible by `seed`. The share is of Student's t ([`share_of_draws`]), the excess, of which Student's t has no mean, of
/// bootstrap draws of the blocks with replacement (Efron 1979). Blocks are drawn for all runs together, which keeps the pairing.
pub(crate) fn confidence(runs: &[&[f64]], seed: u64) -> Option<(f64, f64)> {
    let n = runs.first()?.len();
    if n < 3 || runs.iter().any(|run| run.len() != n || run.iter().any(|loss| !loss.is_finite())) {
        return None;
    }
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut excess = 0.0;
    for _ in 0..DRAWS {
        let drawn: Vec<usize> = (0..n).map(|_| rng.random_range(0..n)).collect();
        let mean = |run: &[f64]| drawn.iter().map(|&block| run[block]).sum::<f64>() / n as f64;
        let means: Vec<f64> = runs.iter().map(|run| mean(run)).collect();
        let (first, lowest) = (means[0], means.iter().copied().fold(f64::INFINITY, f64::min));
        excess += (first - lowest).exp_m1();
    }
    let share = share_of_draws(runs, seed).clamp(LEAST_SHARE, 1.0 - LEAST_SHARE);
    Some((share, (excess / DRAWS as f64).max(LEAST_REGRET)))
}

/// The share of draws on which the first of `runs` has the lowest mean; a draw on which several have it counts by its part of them.
///
/// With `d_ib` the differences of run `i` to the first, a draw is `mean(d_i) + sum_b g_b (d_ib - mean(d_i)) / sqrt(n (n - 1)) / sqrt(c
/// / (n - 1))`, `g` standard normal and `c` chi-squared with `n - 1` degrees of freedom, both the same for all runs: the
/// multivariate t of simultaneous inference (Hothorn, Bretz and Westfall, Biometrical Journal 50, 2008). Of two runs the share is
/// 1 - p of Student's test, so that few blocks claim no more than they can; a bootstrap of three blocks of one sign would claim all.
fn share_of_draws(runs: &[&[f64]], seed: u64) -> f64 {
    let (first, others) = (runs[0], &runs[1..]);
    let n = first.len();
    let freedom = (n - 1) as f64;
    let differences: Vec<(f64, Vec<f64>)> = others
        .iter()
        .map(|other| {
            let own: Vec<f64> = other.iter().zip(first).map(|(a, b)| a - b).collect();
            let mean = own.iter().sum::<f64>() / n as f64;
            (mean, own.into_iter().map(|d| (d - mean) / (n as f64 * freedom).sqrt()).collect())
        })
        .collect();
    let mut normals = Normals { rng: ChaCha8Rng::seed_from_u64(seed), next: None };
    let mut best = 0.0;
    for _ in 0..DRAWS {
        let weights: Vec<f64> = (0..n).map(|_| normals.draw()).collect();
        let chi_squared: f64 = (1..n).map(|_| normals.draw().powi(2)).sum();
        let stretch = (freedom / chi_squared).sqrt();
        let mut together = 1.0;
        let leads = differences.iter().all(|(mean, away)| {
            let drawn: f64 = mean + stretch * away.iter().zip(&weights).map(|(d, g)| d * g).sum::<f64>();
            together += f64::from(u8::from(drawn == 0.0));
            drawn >= 0.0
        });
        if leads {
            best += 1.0 / together;
        }
    }
    best / DRAWS as f64
}

/// Standard normal numbers, two at a time (Box and Muller 1958).
struct Normals {
    rng: ChaCha8Rng,
    next: Option<f64>,
}

impl Normals {
    fn draw(&mut self) -> f64 {
        if let Some(next) = self.next.take() {
            return next;
        }
        // In (0, 1], of which there is a logarithm.
        let radius = (-2.0 * (1.0 - self.rng.random::<f64>()).ln()).sqrt();
        let (sin, cos) = (TAU * self.rng.random::<f64>()).sin_cos();
        self.next = Some(radius * sin);
        radius * cos
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{DRAWS, LEAST_REGRET, LEAST_SHARE, Normals, Paired};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn a_t_statistic_as_tables_have_it() {
        // Differences 1, 2, 3: mean 2, standard error 1/sqrt(3), t = 3.4641 with 2 degrees of freedom, one-sided
        // p = 0.0371 (scipy.stats.ttest_1samp([1, 2, 3], 0, alternative="greater")).
        let paired = Paired::of(&[2.0, 4.0, 6.0], &[1.0, 2.0, 3.0]).unwrap();
        assert!(
            (paired.difference - 2.0).abs() < 1e-12 && (paired.error - 3.0_f64.sqrt().recip()).abs() < 1e-12
        );
        assert!((paired.p_worse(0.0) - 0.037_090).abs() < 1e-5, "{}", paired.p_worse(0.0));
        assert!((paired.p_worse(2.0) - 0.5).abs() < 1e-12);
    }

    #[test]
    fn what_all_blocks_share_does_not_count() {
        let (a, b) = ([1.0, 1.1, 1.2, 1.3], [0.9, 1.0, 1.1, 1.2]);
        let noisy = |x: [f64; 4]| [x[0] + 5.0, x[1] - 3.0, x[2], x[3] + 1.0];
        let (plain, shifted) = (Paired::of(&a, &b).unwrap(), Paired::of(&noisy(a), &noisy(b)).unwrap());
        assert!((plain.difference - shifted.difference).abs() < 1e-12);
        assert!(shifted.p_worse(0.0) < 1e-6);
    }

    #[test]
    fn nothing_can_be_said_without_blocks() {
        assert_eq!(Paired::of(&[], &[]), None);
        assert_eq!(Paired::of(&[1.0, 2.0], &[1.0, 2.0]), None);
        assert_eq!(Paired::of(&[1.0, 2.0, 3.0], &[1.0, 2.0]), None);
        assert_eq!(Paired::of(&[1.0, f64::NAN, 3.0], &[1.0, 2.0, 3.0]), None);
    }

    #[test]
    fn confidence_is_sure_of_what_is_clear_and_not_of_what_is_not() {
        let low: Vec<f64> = (0..16).map(|i| 1.0 + 0.01 * f64::from(i % 4)).collect();
        let high: Vec<f64> = low.iter().map(|loss| loss + 0.1).collect();
        let other: Vec<f64> = low.iter().rev().copied().collect();
        assert_eq!(super::confidence(&[&low, &high], 0), Some((1.0 - LEAST_SHARE, LEAST_REGRET)));
        let (share, excess) = super::confidence(&[&high, &low], 0).unwrap();
        assert!(share == LEAST_SHARE && (excess - 0.1_f64.exp_m1()).abs() < 1e-12);
        let (share, excess) = super::confidence(&[&low, &other], 1).unwrap();
        assert!((0.35..0.65).contains(&share) && excess > 0.0 && excess < 0.01, "{share} {excess}");
        assert_eq!(super::confidence(&[&low, &low[..15]], 0), None);
    }

    /// Of two that are equal, the one that is ahead is by chance: either is called lowest on more than 99 % in one case of a hundred.
    #[test]
    fn few_blocks_claim_no_more_than_they_can() {
        let mut normals = Normals { rng: ChaCha8Rng::seed_from_u64(5), next: None };
        let (cases, blocks) = (300, [3, 4, 5, 6, 8, 12, 16]);
        let mut all = 0;
        for n in blocks {
            let mut claimed = 0;
            for case in 0..cases {
                let mut run = || (0..n).map(|_| 2.0 + 0.3 * normals.draw()).collect::<Vec<f64>>();
                let (a, b) = (run(), run());
                let (share, _) = super::confidence(&[&a, &b], case).unwrap();
                assert!(share > 0.0 && share < 1.0);
                claimed += usize::from(!(0.01..=0.99).contains(&share));
                // It is Student's test, but for the noise of the draws.
                let p = Paired::of(&a, &b).unwrap().p_worse(0.0);
                let error = (p * (1.0 - p) / DRAWS as f64).sqrt();
                assert!((share - p).abs() < 5.0 * error + 2.0 / DRAWS as f64, "{n} blocks: {share}, {p}");
            }
            assert!(claimed as f64 <= 0.045 * cases as f64, "{n} blocks: {claimed} of {cases}");
            all += claimed;
        }
        let share = all as f64 / (cases as usize * blocks.len()) as f64;
        assert!((0.01..=0.03).contains(&share), "{share}");
    }

    #[test]
    fn equal_runs_share_the_probability() {
        let run = [1.0, 2.0, 4.0, 3.0];
        assert_eq!(super::confidence(&[&run, &run], 0), Some((0.5, LEAST_REGRET)));
        assert_eq!(super::confidence(&[&run, &run, &run, &run], 7), Some((0.25, LEAST_REGRET)));
        // One of two that lead together.
        let worse = run.map(|loss| loss + 1.0);
        assert_eq!(super::confidence(&[&run, &worse, &run], 0), Some((0.5, LEAST_REGRET)));
    }

    #[test]
    fn what_can_be_resolved_is_half_an_interval() {
        // scipy.stats.t.ppf(0.975, 2) = 4.302653, times 1/sqrt(3).
        let paired = Paired::of(&[2.0, 4.0, 6.0], &[1.0, 2.0, 3.0]).unwrap();
        assert!((paired.resolvable() - 4.302_652_73 / 3.0_f64.sqrt()).abs() < 1e-6);
    }
}
