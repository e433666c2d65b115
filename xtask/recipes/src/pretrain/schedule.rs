//! Learning rates: linear warm-up, then half a cosine.

/// A schedule over a fixed number of steps.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Steps in all.
    pub steps: usize,
    /// Steps of warm-up.
    pub warmup: usize,
    /// Learning rate after warm-up.
    pub peak: f64,
    /// Learning rate that the last step approaches.
    pub last: f64,
}

impl Schedule {
    /// The learning rate of `step`, counted from 0.
    pub fn rate(&self, step: usize) -> f64 {
        let warm = ((step + 1) as f64 / self.warmup.max(1) as f64).min(1.0);
        let done = step as f64 / self.steps.max(1) as f64;
        let cosine = 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        warm * (self.last + (self.peak - self.last) * cosine)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_then_falls_to_the_last_rate() {
        let schedule = Schedule { steps: 1000, warmup: 10, peak: 1e-3, last: 1e-5 };
        let rates: Vec<f64> = (0..1000).map(|step| schedule.rate(step)).collect();
        assert!(rates[..10].is_sorted() && rates[10..].is_sorted_by(|a, b| a >= b));
        assert!((rates[9] - 1e-3).abs() < 1e-6 && (rates[999] - 1e-5).abs() < 1e-7);
    }
}
