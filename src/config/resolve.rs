//! The values that follow from the size of the data.

use super::SearchConfig;

/// Passes over the training set in the final run, where its steps are not set.
const PASSES: usize = 3;
/// Evaluations of the final run, where their interval is not set.
const EVALUATIONS: usize = 20;
/// Evaluations of a calibration run, where their interval is not set.
const CALIBRATION_EVALUATIONS: usize = 40;
/// Subsets for calibration as fractions 1/n of the training set, where sizes are not set.
const SUBSETS: [usize; 3] = [16, 8, 4];

impl SearchConfig {
    /// The configuration for so many training and validation samples, with everything filled in that was left to mars:
    ///
    /// | setting | value |
    /// |---|---|
    /// | `train.steps` | three passes over the training set |
    /// | `train.eval_every` | a twentieth of them |
    /// | `calibration.steps` | a third of the final run |
    /// | `calibration.eval_every` | a fortieth of them |
    /// | `calibration.sizes` | 1/16, 1/8 and 1/4 of the training set |
    /// | `run.validation_samples` | all, and never more than there are |
    #[must_use]
    pub fn resolved(&self, samples: usize, validation: usize) -> Self {
        let mut config = self.clone();
        let (train, calibration) = (&mut config.train, &mut config.calibration);
        let steps = *train.steps.get_or_insert((PASSES * samples).div_ceil(train.batch.max(1)).max(1));
        train.eval_every.get_or_insert(steps.div_ceil(EVALUATIONS));
        let steps = *calibration.steps.get_or_insert(steps.div_ceil(3));
        calibration.eval_every.get_or_insert(steps.div_ceil(CALIBRATION_EVALUATIONS));
        calibration.sizes.get_or_insert_with(|| {
            let mut sizes: Vec<usize> = SUBSETS.iter().map(|part| (samples / part).max(1)).collect();
            sizes.dedup();
            sizes
        });
        config.run.validation_samples = Some(match config.run.validation_samples {
            None => validation,
            Some(some) => some.min(validation),
        });
        config
    }
}

#[cfg(test)]
mod tests {
    use super::SearchConfig;

    #[test]
    fn what_is_set_stays_and_what_is_not_follows_from_the_data() {
        let mut config = SearchConfig::default();
        config.train.batch = 10;
        let resolved = config.resolved(1000, 70);
        assert_eq!((resolved.train.steps, resolved.train.eval_every), (Some(300), Some(15)));
        assert_eq!((resolved.calibration.steps, resolved.calibration.eval_every), (Some(100), Some(3)));
        assert_eq!(resolved.calibration.sizes, Some(vec![62, 125, 250]));
        assert_eq!(resolved.run.validation_samples, Some(70));
        assert_eq!(resolved.resolved(5, 1000), resolved, "resolving is idempotent");
        config.train.steps = Some(7);
        config.run.validation_samples = Some(100);
        let resolved = config.resolved(1000, 70);
        assert_eq!((resolved.train.steps, resolved.run.validation_samples), (Some(7), Some(70)));
    }
}
