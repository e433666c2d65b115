//! The cut that left one entrant of a race, and how sure it is.

use super::paired::{self, Paired};
use crate::{Budget, Confidence, Margin};

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
        Some(Confidence { step: self.step, probability, expected_regret, compared, margin: Some(margin) })
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
