//! Whether a loss still falls at the cut, from losses on the same validation samples at two steps.
//!
//! With losses by block `f_b` at step 0, `l_b` at the first look and `c_b` at the cut: the share of the improvement that
//! came after the first look is `s = mean(l - c) / mean(f - c)`. It is compared with the share `bar` of a loss that has
//! just converged. The test statistic is `mean(d) / error`, `d_b = (l_b - c_b) - bar (f_b - c_b)`, with the standard error
//! of the mean over the blocks: what all blocks have in common does not count. A loss that seems to stand still or to rise
//! has converged only where that is more than the noise of the samples.

use crate::{TrialResult, race::paired::Paired};

/// By how many standard errors the share must be below that of a converged loss to count as converged.
const BEYOND_NOISE: f64 = 1.0;

/// How a loss moved between the first look and the cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    /// The share of the improvement from step 0 to the cut that came after the first look; negative where the loss rose.
    pub(super) share: f64,
    /// Its standard error; `None` where no losses by block are reported.
    pub(super) error: Option<f64>,
    /// The share of a loss that has just converged.
    pub(super) bar: f64,
    /// What that says.
    pub(super) verdict: Verdict,
}

/// Whether a loss still falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It falls as much as one that has not converged.
    Falling,
    /// The samples cannot tell.
    Unclear,
    /// It has converged.
    Converged,
}

impl Pace {
    /// The pace of `run` at its last step after the evaluation at step `look`; `None` where it had not improved by then, at
    /// least not beyond the noise of the samples, or diverged or failed.
    pub(super) fn of(run: &TrialResult, look: usize, bar: f64) -> Option<Self> {
        let (start, first) = *run.val_curve.first()?;
        let (at, before) = *run.val_curve.iter().rev().find(|(step, _)| *step <= look)?;
        let last = run.kept_loss()?;
        let share = (before - last) / (first - last);
        if first <= last || !share.is_finite() {
            return None;
        }
        let (f, l, c) = (run.blocks_at(start), run.blocks_at(at), run.blocks.as_slice());
        // Mean and standard error over the blocks of `(l - c) - weight (f - c)`.
        let less = |weight: f64| {
            let (f, l) = (f?, l.filter(|l| l.len() == c.len())?);
            let taken: Vec<f64> = l.iter().zip(f).map(|(l, f)| l - weight * f).collect();
            let rest: Vec<f64> = c.iter().map(|c| (1.0 - weight) * c).collect();
            Paired::of(&taken, &rest)
        };
        let Some((against, own)) = less(bar).zip(less(share)) else {
            let verdict = if share >= bar { Verdict::Falling } else { Verdict::Converged };
            return Some(Self { share, error: None, bar, verdict });
        };
        let improvement = Paired::of(f?, c)?;
        if improvement.difference <= BEYOND_NOISE * improvement.error {
            return None;
        }
        let noise = BEYOND_NOISE * against.error;
        let verdict = match against.difference {
            less if less < -noise => Verdict::Converged,
            less if less < noise => Verdict::Unclear,
            _ => Verdict::Falling,
        };
        Some(Self { share, error: Some(own.error / improvement.difference), bar, verdict })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Pace, Verdict};
    use crate::{Cost, Role, Trial, TrialResult};
    use mars_laws::Ranks;

    const BAR: f64 = 0.1;

    fn run(first: &[f64], look: &[f64], cut: &[f64]) -> TrialResult {
        let trial = Trial {
            horizon: 96,
            evaluate_from: 24,
            ..Trial::new(Role::Race, Ranks::new().with("llm", 4), 8, 32)
        };
        let mean = |blocks: &[f64]| blocks.iter().sum::<f64>() / blocks.len() as f64;
        let curve = vec![(0, mean(first)), (24, mean(look)), (32, mean(cut))];
        TrialResult::finished(&trial, curve, Cost::default())
            .with_blocks(cut.to_vec())
            .with_earlier_blocks(vec![(0, first.to_vec()), (24, look.to_vec())])
    }

    fn pace(first: &[f64], look: &[f64], cut: &[f64]) -> Pace {
        Pace::of(&run(first, look, cut), 24, BAR).unwrap()
    }

    #[test]
    fn a_rise_by_noise_is_not_convergence() {
        let first = [3.0; 4];
        // It rises by 0.01 in the mean, and by more or less in every block.
        let noisy = pace(&first, &[1.0, 1.4, 0.8, 1.2], &[1.5, 0.9, 1.3, 0.74]);
        assert!(noisy.share < 0.0 && noisy.verdict == Verdict::Unclear, "{noisy:?}");
        // The same rise in all blocks alike, however much the blocks differ from each other.
        let sure = pace(&first, &[1.0, 1.4, 0.8, 1.2], &[1.01, 1.41, 0.81, 1.21]);
        assert!((sure.share - noisy.share).abs() < 1e-9 && sure.verdict == Verdict::Converged, "{sure:?}");
    }

    #[test]
    fn a_clear_fall_is_one_and_a_fall_by_noise_is_not() {
        let first = [3.0; 4];
        let sure = pace(&first, &[1.5, 1.9, 1.3, 1.7], &[1.0, 1.4, 0.8, 1.2]);
        assert!((sure.share - 0.5 / 1.9).abs() < 1e-9 && sure.verdict == Verdict::Falling, "{sure:?}");
        // Improvement after the first look 0.3 +- 0.56, by block 2, -1, 0.4, -0.2.
        let noisy = pace(&first, &[3.0, 0.4, 1.2, 1.0], &[1.0, 1.4, 0.8, 1.2]);
        assert!(noisy.share > BAR && noisy.verdict == Verdict::Unclear, "{noisy:?}");
    }

    /// Blocks f - c = 2, 2.2, 1.8, 2 and l - c = 0.2, 0.1, 0.3, 0.2: s = 0.1; l - c - s (f - c) = 0, -0.12, 0.12, 0, whose
    /// standard error is sqrt(2 * 0.0144 / 12) = 0.04899; over the improvement of 2, 0.024495.
    #[test]
    fn the_standard_error_is_that_of_a_ratio() {
        let cut = [1.0, 1.5, 0.5, 2.0];
        let add = |by: [f64; 4]| [0, 1, 2, 3].map(|b| cut[b] + by[b]);
        let pace = pace(&add([2.0, 2.2, 1.8, 2.0]), &add([0.2, 0.1, 0.3, 0.2]), &cut);
        assert!((pace.share - 0.1).abs() < 1e-12 && pace.verdict == Verdict::Unclear);
        assert!((pace.error.unwrap() - 0.024_494_897).abs() < 1e-8, "{pace:?}");
    }

    #[test]
    fn no_improvement_is_none_and_without_blocks_there_is_no_error() {
        let flat = [3.0, 2.0, 4.0, 3.0];
        assert_eq!(Pace::of(&run(&flat, &flat, &flat), 24, BAR), None);
        assert_eq!(
            Pace::of(&run(&flat, &flat, &[2.0, 3.0, 3.0, 3.9]), 24, BAR),
            None,
            "it improved by noise"
        );
        let mut bare = run(&[3.0; 4], &[1.2; 4], &[1.0; 4]);
        (bare.blocks, bare.earlier_blocks) = (Vec::new(), Vec::new());
        let pace = Pace::of(&bare, 24, BAR).unwrap();
        assert_eq!((pace.verdict, pace.error), (Verdict::Converged, None));
    }
}
