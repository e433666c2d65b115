//! What training brought: the result beside the model before training, on the same validation samples.
//!
//! A low loss says nothing by itself: with a learning rate that is far too low or far too high every choice ends where it
//! began, or worse, and one of them is still the lowest. The difference is tested by Student's t over the blocks of the
//! split, two-sided at 5 %.

use crate::{TrialResult, race::paired::Paired};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Differences of f32 losses below this part of the loss are rounding.
const ROUNDING: f64 = 1e-6;

/// How far below the loss of uniform guessing, nats, a result must be to be more than that.
const CHANCE: f64 = 1e-3;

/// The validation loss of the result beside that of the model before training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gain {
    /// Loss before training (step 0: the base model), nats per answer token.
    pub before: f64,
    /// Loss of the adapter that is kept of the final run, nats per answer token.
    pub after: f64,
    /// Where that is not the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<KeptEarlier>,
    /// Standard error of the difference, paired by blocks of the samples, nats; `None` where losses by fewer than three blocks are
    /// reported.
    pub error: Option<f64>,
    /// Validation samples; `None` where the number is not known.
    pub samples: Option<usize>,
    /// Loss of giving every token of the vocabulary the same probability, nats; `None` where it is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
    /// What that says.
    pub verdict: Verdict,
}

/// An adapter of before the end of its run, kept since the run over-fitted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeptEarlier {
    /// Optimizer steps that it was trained.
    pub step: usize,
    /// Optimizer steps of the run.
    pub steps: usize,
    /// Optimizer steps that were planned, where the run ended before them since it over-fitted for certain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<usize>,
    /// Loss at the end of the run, nats per answer token.
    pub last: f64,
}

/// What training brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// The loss is lower than before.
    Better,
    /// The losses cannot be told apart.
    Equal,
    /// The loss is higher than before.
    Worse,
    /// The loss is not higher than before, but no lower than that of guessing among all tokens.
    Chance,
}

impl Gain {
    /// What `result` gained, on `samples` validation samples (0: not known). `None` without a usable loss at the end,
    /// or at step 0.
    pub(crate) fn of(result: &TrialResult, samples: usize) -> Option<Self> {
        let after = result.kept_loss()?;
        let before = result.val_curve.first().filter(|(step, loss)| *step == 0 && loss.is_finite())?.1;
        let paired = result.blocks_at(0).and_then(|first| Paired::of(result.kept_blocks(), first));
        let difference = after - before;
        let rounding = ROUNDING * before.abs().max(1.0);
        let resolvable = paired.map_or(0.0, |paired| paired.resolvable()).max(rounding);
        let verdict = match difference {
            d if d > resolvable => Verdict::Worse,
            d if d >= -resolvable => Verdict::Equal,
            _ => Verdict::Better,
        };
        let samples = (samples > 0).then_some(samples);
        let planned = |steps: usize| Some(result.trial.steps).filter(|planned| *planned > steps);
        let earlier = |(steps, last): (usize, f64)| {
            Some(KeptEarlier { step: result.kept?, steps, planned: planned(steps), last })
        };
        let kept = result.val_curve.last().copied().and_then(earlier);
        Some(Self {
            before,
            after,
            kept,
            error: paired.map(|paired| paired.error),
            samples,
            chance: None,
            verdict,
        })
    }

    /// The same with the loss of guessing among `vocabulary` tokens, `ln vocabulary`: a result that is no lower has learnt
    /// nothing from its input, wherever it began.
    #[must_use]
    pub fn with_vocabulary(self, vocabulary: usize) -> Self {
        let chance = (vocabulary.max(1) as f64).ln();
        let guesses = match self.verdict {
            Verdict::Better => self.after >= chance - CHANCE,
            Verdict::Equal => (self.after - chance).abs() <= CHANCE,
            Verdict::Worse | Verdict::Chance => false,
        };
        Self { chance: Some(chance), verdict: if guesses { Verdict::Chance } else { self.verdict }, ..self }
    }

    /// Whether training made the model better.
    pub fn is_improvement(&self) -> bool {
        self.verdict == Verdict::Better
    }
}

/// A sentence: both losses, their difference, how exact it is, and what it says.
impl fmt::Display for Gain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { before, after, .. } = *self;
        f.write_str(match self.verdict {
            Verdict::Better => "Training lowered the validation loss",
            Verdict::Equal => "Training did not improve the model: its validation loss does not differ measurably from that before training",
            Verdict::Worse => "Training made the model worse: its validation loss is higher than before training",
            Verdict::Chance => "The trained model only guesses: its validation loss is that of a uniform distribution over tokens",
        })?;
        let sign = if self.is_improvement() { " from" } else { "," };
        write!(f, "{sign} {before:.4} to {after:.4} nats per token (difference {:+.4}", after - before)?;
        match self.error {
            Some(error) => write!(f, ", standard error {error:.4}")?,
            None => {
                f.write_str(", standard error unknown: it needs losses of at least three blocks of samples")?
            }
        }
        if let Some(samples) = self.samples {
            write!(f, ", {samples} samples")?;
        }
        f.write_str(").")?;
        if let Some(KeptEarlier { step, steps, planned, last }) = self.kept {
            write!(
                f,
                " The adapter of step {step} of {steps} is kept: later ones over-fit, up to {last:.4}"
            )?;
            match planned {
                None => f.write_str(" at the end.")?,
                Some(planned) => write!(f, ", which ended the run before its {planned} steps.")?,
            }
            f.write_str(" Use fewer steps or more data.")?;
        }
        if !self.is_improvement() {
            f.write_str(
                " The adapter is not usable: check learning rates, scale, warm-up, the number of steps and the data \
                 before another search.",
            )?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Gain, Verdict};
    use crate::{Cost, Role, Trial, TrialResult};
    use mars_laws::Ranks;

    fn result(before: &[f64], after: &[f64]) -> TrialResult {
        let trial = Trial::new(Role::Final, Ranks::new().with("llm", 4), 8, 10);
        let mean = |blocks: &[f64]| blocks.iter().sum::<f64>() / blocks.len() as f64;
        TrialResult::finished(&trial, vec![(0, mean(before)), (10, mean(after))], Cost::default())
            .with_blocks(after.to_vec())
            .with_earlier_blocks(vec![(0, before.to_vec())])
    }

    fn verdict(before: &[f64], after: &[f64]) -> Verdict {
        Gain::of(&result(before, after), 8).unwrap().verdict
    }

    #[test]
    fn a_difference_counts_beyond_its_interval_only() {
        let before = [2.0, 3.0, 4.0, 5.0];
        assert_eq!(verdict(&before, &before), Verdict::Equal);
        assert_eq!(verdict(&before, &before.map(|loss| loss + 0.01)), Verdict::Worse);
        assert_eq!(verdict(&before, &before.map(|loss| loss - 0.01)), Verdict::Better);
        // The last digits of f32.
        assert_eq!(verdict(&before, &before.map(|loss| loss - 1e-7)), Verdict::Equal);
        // Differences -1, -2, -3, -6: mean -3, standard error 1.0801, t = -2.777 with 3 degrees of freedom, two-sided
        // p = 0.069 (scipy.stats.ttest_1samp). With -1, -2, -3, -4: t = -3.873, p = 0.030.
        assert_eq!(verdict(&before, &[1.0, 1.0, 1.0, -1.0]), Verdict::Equal);
        assert_eq!(verdict(&before, &[1.0, 1.0, 1.0, 1.0]), Verdict::Better);
        assert_eq!(verdict(&[1.0, 1.0, 1.0, -1.0], &before), Verdict::Equal);
        assert_eq!(verdict(&[1.0, 1.0, 1.0, 1.0], &before), Verdict::Worse);
    }

    #[test]
    fn what_is_kept_earlier_is_what_counts() {
        let (before, best, last) = ([4.0, 4.5, 3.5, 4.0], [1.0, 1.2, 0.8, 1.1], [5.0, 5.2, 4.8, 5.1]);
        let mut over_fitted = result(&before, &last);
        over_fitted.val_curve.insert(1, (6, best.iter().sum::<f64>() / 4.0));
        over_fitted.earlier_blocks.push((6, best.to_vec()));
        assert_eq!(Gain::of(&over_fitted, 8).unwrap().verdict, Verdict::Worse);
        over_fitted.kept = Some(6);
        let gain = Gain::of(&over_fitted, 8).unwrap();
        assert_eq!((gain.verdict, gain.after), (Verdict::Better, 1.025));
        assert!((over_fitted.kept_loss(), over_fitted.kept_blocks()) == (Some(1.025), best.as_slice()));
        assert!(gain.to_string().contains("The adapter of step 6 of 10 is kept"), "{gain}");
        assert!(gain.to_string().contains("at the end. Use fewer steps"), "{gain}");
        over_fitted.trial.steps = 40;
        let gain = Gain::of(&over_fitted, 8).unwrap();
        assert!(gain.to_string().contains("which ended the run before its 40 steps."), "{gain}");
    }

    #[test]
    fn without_blocks_the_sign_alone_is_said_and_that_there_is_no_error() {
        let mut bare = result(&[3.0; 4], &[2.9; 4]);
        (bare.blocks, bare.earlier_blocks) = (Vec::new(), Vec::new());
        let gain = Gain::of(&bare, 0).unwrap();
        assert_eq!((gain.verdict, gain.error, gain.samples), (Verdict::Better, None, None));
        assert!(gain.to_string().contains("standard error unknown"), "{gain}");
        // The final run was not evaluated before its first step.
        bare.val_curve.remove(0);
        assert_eq!(Gain::of(&bare, 0), None);
    }

    #[test]
    fn no_better_than_guessing_is_no_improvement() {
        let uniform = 10.0_f64.ln();
        let gain = Gain::of(&result(&[9.0; 4], &[uniform; 4]), 8).unwrap();
        assert!(gain.is_improvement());
        let judged = gain.with_vocabulary(10);
        assert_eq!(judged.verdict, Verdict::Chance);
        assert!(judged.to_string().contains("only guesses"), "{judged}");
        assert!(gain.with_vocabulary(1000).is_improvement());
        // The samples do not tell a guess from what there was before.
        let noisy = Gain::of(&result(&[1.3, 3.3, 0.3, 4.3], &[uniform; 4]), 8).unwrap();
        assert_eq!((noisy.verdict, noisy.with_vocabulary(10).verdict), (Verdict::Equal, Verdict::Chance));
        let worse = Gain::of(&result(&[1.0; 4], &[uniform; 4]), 8).unwrap().with_vocabulary(10);
        assert_eq!(worse.verdict, Verdict::Worse);
    }
}
