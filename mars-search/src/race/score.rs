//! What entrants of a race are compared by.

use crate::{Budget, TrialResult};

/// Fewest training losses that are a score: a paired t test on less says little.
const LEAST: usize = 8;

/// What entrants are compared by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Score {
    /// The validation loss at the cut.
    Validation,
    /// The mean training loss of the second half of the steps up to the cut, while the run has not seen a sample twice: until then
    /// each batch is a sample of unseen data, the same for all entrants, and costs nothing. After the first pass, where it
    /// rewards memorising, and where a run of the cut has no training losses: the validation loss of all (ours; measured on
    /// recorded runs).
    Training,
}

/// A comparable loss.
pub(crate) struct Scored {
    /// Nats per answer token.
    pub(crate) loss: f64,
    /// The same by blocks that average to it: of validation samples, or one for each step. Empty where not known.
    pub(crate) blocks: Vec<f64>,
    /// The steps whose training losses these are, first and last; `None` for validation losses.
    pub(crate) training: Option<(usize, usize)>,
}

impl Score {
    /// The scores of results at their last step, `step`, all by the same loss; `None` where one has no usable loss.
    pub(crate) fn of_all(
        self,
        results: &[&TrialResult],
        step: usize,
        budget: &Budget,
    ) -> Vec<Option<Scored>> {
        let by =
            |score: Self| results.iter().map(|result| score.of(result, step, budget)).collect::<Vec<_>>();
        let scores = by(self);
        let lacks = scores.iter().flatten().any(|scored| scored.training.is_none());
        if self == Self::Training && lacks { by(Self::Validation) } else { scores }
    }

    /// The score of one result by itself.
    fn of(self, result: &TrialResult, step: usize, budget: &Budget) -> Option<Scored> {
        let loss = result.kept_loss()?;
        if self == Self::Training && step.saturating_mul(budget.batch) <= budget.samples {
            let from = step / 2;
            let own = result.train_curve.iter().filter(|(at, _)| (from + 1..=step).contains(at));
            let blocks: Vec<f64> = own.map(|(_, loss)| *loss).collect();
            if blocks.len() == step - from
                && blocks.len() >= LEAST
                && blocks.iter().all(|loss| loss.is_finite())
            {
                let loss = blocks.iter().sum::<f64>() / blocks.len() as f64;
                return Some(Scored { loss, blocks, training: Some((from + 1, step)) });
            }
        }
        Some(Scored { loss, blocks: result.kept_blocks().to_vec(), training: None })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::Score;
    use crate::{
        Budget, Cost, Role, TrialResult,
        records::{Draft, Records},
    };
    use mars_laws::Ranks;

    fn result(steps: usize, train: Vec<(usize, f64)>) -> TrialResult {
        let budget = Budget::new(100, 640, 16);
        let mut records = Records::default();
        records.post(vec![Draft::full_data(Role::Race, &Ranks::new().with("llm", 4), &budget, steps)]);
        TrialResult::finished(&records.open()[0], vec![(0, 3.0), (steps, 1.0)], Cost::default())
            .with_blocks(vec![0.5, 1.0, 1.5])
            .with_train_curve(train)
    }

    #[test]
    fn all_of_a_cut_are_compared_by_the_same_loss() {
        let budget = Budget::new(100, 640, 16);
        let falling = |steps: usize| (1..=steps).map(|step| (step, 2.0)).collect::<Vec<_>>();
        let failed = || result(40, Vec::new()).with_end(crate::TrialEnd::Diverged { step: 3 });
        for lacking in [Vec::new(), falling(39), vec![(1, f64::NAN)]] {
            let results = [result(40, falling(40)), result(40, lacking), failed()];
            for count in 1..=3 {
                let some: Vec<&TrialResult> = results.iter().take(count).collect();
                let scores = Score::Training.of_all(&some, 40, &budget);
                let by_training = |at: usize| scores[at].as_ref().map(|scored| scored.training.is_some());
                assert_eq!(by_training(0), Some(count == 1));
                assert!(count < 2 || by_training(1) == Some(false));
                assert!(count < 3 || scores[2].is_none());
            }
        }
        // What diverged says nothing of the others.
        let scores = Score::Training.of_all(&[&result(40, falling(40)), &failed()], 40, &budget);
        assert!(scores[0].as_ref().is_some_and(|scored| scored.training.is_some()) && scores[1].is_none());
    }

    #[test]
    fn training_losses_count_in_the_first_pass_and_validation_after_it() {
        let budget = Budget::new(100, 640, 16);
        let falling =
            |steps: usize| (1..=steps).map(|step| (step, 10.0 - step as f64 / 10.0)).collect::<Vec<_>>();
        // 40 steps of 16 are the 640 samples.
        let scored = Score::Training.of(&result(40, falling(40)), 40, &budget).unwrap();
        assert_eq!((scored.training, scored.blocks.len()), (Some((21, 40)), 20));
        assert!((scored.loss - (10.0 - 30.5 / 10.0)).abs() < 1e-12);
        let validation = |score: Score, steps: usize, train| {
            let scored = score.of(&result(steps, train), steps, &budget).unwrap();
            assert_eq!((scored.training, scored.loss, scored.blocks), (None, 1.0, vec![0.5, 1.0, 1.5]));
        };
        validation(Score::Training, 41, falling(41));
        validation(Score::Training, 40, Vec::new());
        validation(Score::Training, 40, falling(39));
        validation(Score::Training, 10, falling(10));
        validation(Score::Validation, 40, falling(40));
        let mut broken = falling(40);
        broken[30].1 = f64::NAN;
        validation(Score::Training, 40, broken);
    }
}
