//! The cut that left one entrant of a race, and how sure it is.

use super::paired::{self, Paired};
use crate::{Budget, Confidence, Margin, Unhandicapped};

/// The cut that left one entrant.
pub(crate) struct LastCut {
    /// The step at which it was made.
    pub(crate) step: usize,
    /// The entrant with the lowest loss.
    pub(crate) leader: usize,
    /// The steps whose training losses were compared; `None` where it was the validation loss.
    pub(crate) training: Option<(usize, usize)>,
    /// Handicaps of those compared, nats, the one that was left first.
    pub(crate) handicaps: Vec<f64>,
    /// Losses by block of those compared, the one that was left first.
    /// `[compared][blocks]`, in nats per answer token with the handicap; empty inner lists where the trainer
    /// reports no blocks.
    pub(crate) blocks: Vec<Vec<f64>>,
}

impl LastCut {
    /// How sure it is that the one that was left is the best of those compared; `None` where the blocks do not say. The
    /// margin is that to the other with the lowest handicapped loss.
    pub(crate) fn confidence(&self, budget: &Budget) -> Option<Confidence> {
        let runs: Vec<&[f64]> = self.blocks.iter().map(Vec::as_slice).collect();
        let (probability, expected_regret) = paired::confidence(&runs, budget.seed)?;
        let (chosen, others) = runs.split_first()?;
        let sum = |run: &[f64]| run.iter().sum::<f64>();
        let best = (0..others.len()).min_by(|&a, &b| sum(others[a]).total_cmp(&sum(others[b])))?;
        let paired = Paired::of(chosen, others[best])?;
        let handicap = self.handicaps[0] - self.handicaps[1 + best];
        let margin = Margin {
            steps: budget.steps,
            samples: match self.training {
                Some((from, to)) => Some((to + 1 - from) * budget.batch),
                None => (budget.validation_samples > 0).then_some(budget.validation_samples),
            },
            training: self.training,
            difference: paired.difference - handicap,
            handicap,
            error: paired.error,
            resolvable: paired.resolvable(),
        };
        let compared = runs.len();
        Some(Confidence {
            step: self.step,
            probability,
            expected_regret,
            unhandicapped: self.unhandicapped(budget.seed),
            compared,
            margin: Some(margin),
        })
    }

    /// The same by the measured losses; `None` where all have the same handicap.
    fn unhandicapped(&self, seed: u64) -> Option<Unhandicapped> {
        if self.handicaps.iter().all(|handicap| (handicap - self.handicaps[0]).abs() == 0.0) {
            return None;
        }
        let measured = |(run, handicap): (&Vec<f64>, &f64)| -> Vec<f64> {
            run.iter().map(|loss| loss - handicap).collect()
        };
        let runs: Vec<Vec<f64>> = self.blocks.iter().zip(&self.handicaps).map(measured).collect();
        let runs: Vec<&[f64]> = runs.iter().map(Vec::as_slice).collect();
        let (probability, expected_regret) = paired::confidence(&runs, seed)?;
        Some(Unhandicapped { probability, expected_regret })
    }

    /// What the cut compared, on what, and what that says, as a sentence; `confidence` is its own.
    pub(crate) fn in_words(&self, confidence: Option<&Confidence>, budget: &Budget) -> String {
        let mut words = match confidence {
            Some(sure) => sure.to_string(),
            None => format!(
                "Compared with {} other{} at step {} of {} by the mean validation loss alone: without losses by three \
                 blocks of the samples or more nothing is known of what noise could have decided.",
                self.blocks.len() - 1,
                if self.blocks.len() == 2 { "" } else { "s" },
                self.step,
                budget.steps
            ),
        };
        if self.step < budget.steps {
            words += " The others were not trained further.";
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::LastCut;
    use crate::Budget;

    /// The choice is 0.03 nats above the other, which has a handicap of 0.05.
    fn handicapped() -> LastCut {
        let chosen: Vec<f64> = (0..16).map(|block| 2.0 + 0.01 * f64::from(block % 4)).collect();
        let other = (0..16).map(|block| 2.0175 + 0.01 * f64::from(block % 4) + 0.001 * f64::from(block % 3));
        LastCut {
            step: 20,
            leader: 0,
            training: None,
            handicaps: vec![0.0, 0.05],
            blocks: vec![chosen, other.collect()],
        }
    }

    #[test]
    fn what_the_handicap_decided_is_told_beside_what_was_measured() {
        let cut = handicapped();
        let budget = Budget::new(100, 640, 16);
        let sure = cut.confidence(&budget).unwrap_or_else(|| panic!("there are blocks"));
        let margin = sure.margin.unwrap_or_else(|| panic!("there are blocks"));
        assert!(
            (margin.difference - 0.0316).abs() < 1e-3 && (margin.handicap + 0.05).abs() < 1e-12,
            "{margin:?}"
        );
        let measured = sure.unhandicapped.unwrap_or_else(|| panic!("handicaps differ"));
        assert!(sure.probability > 0.99 && measured.probability < 0.01, "{sure:?}");
        assert!((measured.expected_regret - 0.0321).abs() < 1e-3, "{measured:?}");
        let words = cut.in_words(Some(&sure), &budget);
        assert!(
            words.contains(
                "lowest after the handicap with a probability of more than 99 % over the choice of validation"
            ) && words
                .contains("by the measured losses alone less than 1 %, with regret 3.2 % of perplexity."),
            "{words}"
        );
        let plain = LastCut { handicaps: vec![0.05; 2], ..cut };
        let sure = plain.confidence(&budget).unwrap_or_else(|| panic!("there are blocks"));
        assert_eq!(sure.unhandicapped, None);
        assert!(!plain.in_words(Some(&sure), &budget).contains("handicap"));
    }

    #[test]
    fn no_draws_make_certain() {
        let cut = LastCut { handicaps: vec![0.0; 2], ..handicapped() };
        for blocks in [cut.blocks.clone(), cut.blocks.iter().rev().cloned().collect()] {
            let cut = LastCut { step: 20, leader: 0, training: None, handicaps: vec![0.0; 2], blocks };
            let sure = cut.confidence(&Budget::new(100, 640, 16));
            let sure = sure.unwrap_or_else(|| panic!("there are blocks"));
            assert!(
                sure.probability > 0.0 && sure.probability < 1.0 && sure.expected_regret > 0.0,
                "{sure:?}"
            );
        }
    }

    #[test]
    fn one_other_is_not_others() {
        for (compared, told) in
            [(2, "Compared with 1 other at step 20 of 100"), (3, "Compared with 2 others at")]
        {
            let cut = LastCut {
                step: 20,
                leader: 0,
                training: None,
                handicaps: vec![0.0; compared],
                blocks: vec![Vec::new(); compared],
            };
            let words = cut.in_words(None, &Budget::new(100, 640, 16));
            assert!(words.starts_with(told), "{words}");
        }
    }
}
