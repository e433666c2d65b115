//! A run that was lowest before its end, and of which over-fitting cannot be told.

use mars_calib::RunRecord;
use mars_laws::OverfittingTime;
use serde::{Deserialize, Serialize};

/// Standard errors of a paired difference below which it cannot be told from none.
const ERRORS: f64 = 2.0;

/// The lowest validation loss of such a run, and its last.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Undecided {
    /// The step of the lowest loss.
    pub lowest: usize,
    /// The last step.
    pub last: usize,
    /// The loss there minus the lowest, in nats per answer token.
    pub rise: f64,
    /// The least difference of the two that the samples tell from none, in nats; `None` where losses by block are not reported.
    pub resolvable: Option<f64>,
}

impl Undecided {
    /// Of the run of `record`, whose over-fitting time this is; `None` where it over-fitted for certain, or lasted to its end.
    pub(super) fn of(record: &RunRecord, time: OverfittingTime) -> Option<Self> {
        let last = record.val.last().filter(|point| point.loss.is_finite())?;
        if time.is_seen() || time.steps() >= last.step as f64 {
            return None;
        }
        let usable = record.val.iter().filter(|point| point.step > 0 && point.loss.is_finite());
        let lowest = usable.min_by(|a, b| a.loss.total_cmp(&b.loss))?;
        let blocks = |step: usize| record.val_blocks.iter().find(|own| own.step == step);
        let pair = blocks(lowest.step).zip(blocks(last.step));
        let resolvable = pair.and_then(|(lowest, last)| resolvable(&lowest.losses, &last.losses));
        Some(Self { lowest: lowest.step, last: last.step, rise: last.loss - lowest.loss, resolvable })
    }
}

fn resolvable(first: &[f32], second: &[f32]) -> Option<f64> {
    if first.len() != second.len() || first.len() < 2 {
        return None;
    }
    let count = first.len() as f64;
    let differences: Vec<f64> =
        first.iter().zip(second).map(|(a, b)| f64::from(*b) - f64::from(*a)).collect();
    let mean = differences.iter().sum::<f64>() / count;
    let squares: f64 = differences.iter().map(|own| (own - mean).powi(2)).sum();
    Some(ERRORS * (squares / (count * (count - 1.0))).sqrt()).filter(|least| least.is_finite())
}

#[cfg(test)]
mod tests {
    use super::Undecided;
    use mars_calib::{BlockPoint, CurvePoint, RunEnd, RunRecord, RunSpec};
    use mars_laws::{OverfittingTime, Ranks};

    /// Of a run with these losses at the steps 0, 10, 20, ..., three blocks about each.
    fn undecided(losses: &[f64], time: OverfittingTime) -> Option<Undecided> {
        let spec = RunSpec::new(Ranks::new().with("llm", 4), 64, 8, 10 * (losses.len() - 1), 1e-3);
        let mut record = RunRecord::empty(spec, RunEnd::Finished);
        for (at, &loss) in losses.iter().enumerate() {
            let step = 10 * at;
            record.val.push(CurvePoint { step, loss });
            let noise = if at.is_multiple_of(2) { [0.0; 3] } else { [-0.25, 0.0, 0.25] };
            let losses = noise.map(|own| (loss + own) as f32).to_vec();
            record.val_blocks.push(BlockPoint { step, losses });
        }
        Undecided::of(&record, time)
    }

    #[test]
    fn what_lies_between_the_lowest_and_the_last_is_told() {
        let losses = [4.0, 2.0, 1.0, 1.5, 1.5, 1.25];
        let found = undecided(&losses, OverfittingTime::After { steps: 20.0 });
        let found = found.unwrap_or_else(|| panic!("it ends later"));
        assert_eq!((found.lowest, found.last), (20, 50));
        assert!((found.rise - 0.25).abs() < 1e-12, "{found:?}");
        // Differences of 0, 0.25 and 0.5: a standard error of 0.25 / sqrt(3).
        let least = found.resolvable.unwrap_or(f64::NAN);
        assert!((least - 2.0 * 0.25 / 3f64.sqrt()).abs() < 1e-6, "{found:?}");
        assert_eq!(undecided(&losses, OverfittingTime::After { steps: 50.0 }), None);
        assert_eq!(undecided(&losses, OverfittingTime::Seen { steps: 20.0, width: 0.4 }), None);
    }
}
