//! The loss of one run over time: what is registered.

use crate::Error;
use serde::{Deserialize, Serialize};

/// Validation losses of one run in which one module is adapted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LossCurve {
    /// LoRA rank of the module, >= 1.
    pub rank: usize,
    /// Times of the evaluations, ascending, the first one 0 (the base model), in optimizer steps at a learning rate that
    /// is constant after its warm-up. Steps of a warm-up count as they are: counted by their rate instead, the exponents
    /// of different windows of the same runs differ by up to 0.16 in place of 0.05 (measured with 10 steps of warm-up).
    pub times: Vec<f64>,
    /// Loss at each of these times, nats per token, finite.
    pub losses: Vec<f64>,
    /// Loss at each of these times of each block of the validation samples (as many blocks at each time, of equal
    /// weight, their mean the loss); empty (the default) where it is not known. Intervals then count the choice of
    /// the samples.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<Vec<f64>>,
}

impl LossCurve {
    /// A curve by (time, loss), without blocks.
    pub fn new(rank: usize, points: impl IntoIterator<Item = (f64, f64)>) -> Self {
        let (times, losses) = points.into_iter().unzip();
        Self { rank, times, losses, blocks: Vec::new() }
    }

    /// The number of evaluations that count until time `until`: those up to the smallest loss. What comes after it is
    /// over-fitting, or noise.
    pub(super) fn falling(&self, until: f64) -> usize {
        let seen = self.times.iter().take_while(|time| **time <= until).count();
        let lowest = (0..seen).min_by(|a, b| self.losses[*a].total_cmp(&self.losses[*b]));
        lowest.map_or(0, |lowest| lowest + 1)
    }

    /// Refuses what no registration can use; `index` is the position of the curve.
    pub(super) fn check(&self, index: usize) -> Result<(), Error> {
        let bad = |field: &str, value: String, allowed: &'static str| {
            Err(Error::BadObservation { index, field: field.into(), value, allowed })
        };
        if self.rank == 0 {
            return bad("rank", "0".into(), "1 or more");
        }
        if self.losses.len() != self.times.len() {
            return bad("losses", format!("{} values", self.losses.len()), "one for each time");
        }
        if self.times.first() != Some(&0.0) {
            let first = self.times.first().map_or("absent".into(), f64::to_string);
            return bad("times[0]", first, "0, the time of the base model");
        }
        let all = || self.times.iter().zip(&self.losses);
        if let Some(i) = all().position(|(time, loss)| !time.is_finite() || !loss.is_finite()) {
            let value = format!("{} at time {}", self.losses[i], self.times[i]);
            return bad(&format!("losses[{i}]"), value, "a finite loss at a finite time");
        }
        if let Some(i) = (1..self.times.len()).find(|i| self.times[*i] <= self.times[*i - 1]) {
            return bad(&format!("times[{i}]"), self.times[i].to_string(), "above the time before");
        }
        let blocks = self.blocks.first().map_or(0, Vec::len);
        let whole = |row: &Vec<f64>| row.len() == blocks && row.iter().all(|loss| loss.is_finite());
        if !self.blocks.is_empty()
            && (blocks == 0 || self.blocks.len() != self.times.len() || !self.blocks.iter().all(whole))
        {
            return bad(
                "blocks",
                format!("{} rows", self.blocks.len()),
                "a row of as many finite losses for each time",
            );
        }
        Ok(())
    }
}
