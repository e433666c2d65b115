//! Smoothed importance of every entry of a tensor: sensitivity times uncertainty.
//!
//! `I = |w * gradient|`, `M = beta1 M + (1 - beta1) I`, `U = beta2 U + (1 - beta2) |I - M|` with the new M, and the score is `M * U`
//! (eq. 9 and 10 of arXiv 2303.10512); nothing corrects the zeros they start from.

/// Running means of one tensor.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Importance {
    mean: Vec<f32>,
    deviation: Vec<f32>,
}

impl Importance {
    pub(super) fn new(length: usize) -> Self {
        Self { mean: vec![0.0; length], deviation: vec![0.0; length] }
    }

    /// Takes in one step; `values` are those after it, `gradient` is what it was made with.
    /// As in PEFT, whose `update_and_allocate` runs after `optimizer.step()`: weights of after the step meet
    /// the (clipped) gradients of before it.
    pub(super) fn update(&mut self, values: &[f32], gradient: &[f32], beta1: f64, beta2: f64) {
        let (keep1, keep2) = (beta1 as f32, beta2 as f32);
        let (take1, take2) = ((1.0 - beta1) as f32, (1.0 - beta2) as f32);
        let memory = self.mean.iter_mut().zip(&mut self.deviation);
        for ((value, gradient), (mean, deviation)) in values.iter().zip(gradient).zip(memory) {
            let now = (value * gradient).abs();
            *mean = keep1 * *mean + take1 * now;
            *deviation = keep2 * *deviation + take2 * (now - *mean).abs();
        }
    }

    /// Score of one entry.
    pub(super) fn score(&self, index: usize) -> f32 {
        self.mean[index] * self.deviation[index]
    }

    /// Mean score of some entries.
    pub(super) fn mean_score(&self, indices: impl ExactSizeIterator<Item = usize>) -> f32 {
        let count = indices.len() as f64;
        (indices.map(|i| f64::from(self.score(i))).sum::<f64>() / count) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::Importance;

    #[test]
    fn one_step_by_hand() {
        let mut importance = Importance::new(2);
        importance.update(&[2.0, -1.0], &[-3.0, 0.0], 0.85, 0.85);
        // I = 6, M = 0.9, U = 0.15 * 5.1.
        assert!((importance.score(0) - 0.9 * 0.765).abs() < 1e-5);
        assert_eq!(importance.score(1), 0.0);
        assert!((importance.mean_score(0..2) - 0.5 * 0.9 * 0.765).abs() < 1e-5);
    }

    #[test]
    fn a_steady_entry_becomes_certain() {
        let mut importance = Importance::new(1);
        let scores: Vec<f32> = (0..100)
            .map(|_| {
                importance.update(&[1.0], &[1.0], 0.85, 0.85);
                importance.score(0)
            })
            .collect();
        assert!(scores[99] < 1e-3 * scores.iter().copied().fold(0.0, f32::max));
    }
}
