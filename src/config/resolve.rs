//! The values that follow from the size of the data.

use super::SearchConfig;
use mars_search::CalibrationPlan;

/// Passes over the training set in the final run, where its steps are not set.
const PASSES: usize = 3;
/// Evaluations of the final run, where their interval is not set.
pub(super) const EVALUATIONS: usize = 20;
/// Evaluations of a calibration run, where their interval is not set.
const CALIBRATION_EVALUATIONS: usize = 40;
/// Subsets for calibration as fractions 1/n of the training set, where sizes are not set: for times read off each curve, and
/// for registered ones.
const SUBSETS: [usize; 3] = [16, 8, 4];
const REGISTERED_SUBSETS: [usize; 2] = [16, 4];
/// Shortest and longest window of registered runs, where it is not set: what is left of it in short searches, and what the
/// exponents need.
const WINDOW: [usize; 2] = [8, CalibrationPlan::FULL_WINDOW];
/// Validation samples of an evaluation in a window (measured, docs/results/mars-by-default.md).
const REGISTERED_VALIDATION: usize = 48;

impl SearchConfig {
    /// The configuration for so many training and validation samples, with everything filled in that was left to mars:
    ///
    /// | setting | value |
    /// |---|---|
    /// | `train.steps` | three passes over the training set |
    /// | `train.eval_every` | a twentieth of them |
    /// | `calibration.window` | an eighth of the final run, 8 to 64 steps, at most 4/7 of `calibration.steps` |
    /// | `calibration.steps` | a thirtieth of the final run, at least 7/4 windows; a third of it for other rules than `registered` |
    /// | `calibration.eval_every` | a sixteenth of the window; a fortieth of the steps for other rules |
    /// | `calibration.sizes` | 1/16 and 1/4 of the training set; 1/16, 1/8 and 1/4 for other rules |
    /// | `calibration.validation_samples` | 48, and never more than `run.validation_samples` |
    /// | `run.validation_samples` | all, and never more than there are |
    #[must_use]
    pub fn resolved(&self, samples: usize, validation: usize) -> Self {
        let mut config = self.clone();
        let (train, calibration) = (&mut config.train, &mut config.calibration);
        let steps = *train.steps.get_or_insert((PASSES * samples).div_ceil(train.batch.max(1)).max(1));
        train.eval_every.get_or_insert(steps.div_ceil(EVALUATIONS));
        let registered = calibration.is_registered();
        if registered {
            let [shortest, longest] = WINDOW;
            let most = calibration.steps.map_or(longest, |steps| (steps.saturating_mul(4) / 7).max(1));
            let window =
                *calibration.window.get_or_insert(steps.div_ceil(8).clamp(shortest, longest).min(most));
            // 7/4 of the window, for windows of any length.
            let longer = window.saturating_mul(2).saturating_sub(window / 4);
            calibration.steps.get_or_insert(steps.div_ceil(30).max(longer));
            calibration.eval_every.get_or_insert(window.div_ceil(CalibrationPlan::WINDOW_EVALUATIONS));
        } else {
            let steps = *calibration.steps.get_or_insert(steps.div_ceil(3));
            calibration.eval_every.get_or_insert(steps.div_ceil(CALIBRATION_EVALUATIONS));
        }
        calibration.sizes.get_or_insert_with(|| {
            let subsets = if registered { REGISTERED_SUBSETS.as_slice() } else { &SUBSETS };
            let mut sizes: Vec<usize> = subsets.iter().map(|part| (samples / part).max(1)).collect();
            sizes.dedup();
            sizes
        });
        config.run.validation_samples = Some(match config.run.validation_samples {
            None => validation,
            Some(some) => some.min(validation),
        });
        let most = config.run.validation_samples.unwrap_or(validation);
        let own = &mut config.calibration.validation_samples;
        *own = Some(own.unwrap_or(REGISTERED_VALIDATION).min(most));
        config
    }
}

#[cfg(test)]
mod tests {
    use super::SearchConfig;
    use mars_calib::ConvergenceDefinition;

    #[test]
    fn what_is_set_stays_and_what_is_not_follows_from_the_data() {
        let mut config = SearchConfig::default();
        config.train.batch = 10;
        let resolved = config.resolved(1000, 70);
        assert_eq!((resolved.train.steps, resolved.train.eval_every), (Some(300), Some(15)));
        let calibration = &resolved.calibration;
        assert_eq!(
            (calibration.window, calibration.steps, calibration.eval_every),
            (Some(38), Some(67), Some(3))
        );
        assert_eq!((&calibration.sizes, calibration.validation_samples), (&Some(vec![62, 250]), Some(48)));
        config.calibration.steps = Some(20);
        let calibration = config.resolved(1000, 70).calibration;
        assert_eq!(
            (calibration.window, calibration.steps),
            (Some(11), Some(20)),
            "shorter than the longest run"
        );
        config.calibration.steps = None;
        config.calibration.rule = ConvergenceDefinition::AloneVal;
        let calibration = config.resolved(1000, 70).calibration;
        assert_eq!(
            (calibration.window, calibration.steps, calibration.eval_every),
            (None, Some(100), Some(3))
        );
        assert_eq!(calibration.sizes, Some(vec![62, 125, 250]));
        assert_eq!(resolved.run.validation_samples, Some(70));
        assert_eq!(resolved.resolved(5, 1000), resolved, "resolving is idempotent");
        config.train.steps = Some(7);
        config.run.validation_samples = Some(100);
        let resolved = config.resolved(1000, 70);
        assert_eq!((resolved.train.steps, resolved.run.validation_samples), (Some(7), Some(70)));
    }

    #[test]
    fn the_longest_run_goes_on_from_a_window_of_any_length() {
        let mut config = SearchConfig::default();
        for window in [5, 6, 7, 8, i64::MAX as usize] {
            config.calibration.window = Some(window);
            let steps = config.resolved(8, 8).calibration.steps;
            assert_eq!(steps, Some((7 * window as u128).div_ceil(4) as usize), "{window}");
        }
    }
}
