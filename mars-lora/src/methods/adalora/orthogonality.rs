//! The regulariser that keeps the rows of A and the columns of B orthonormal, and its gradient in closed form.

use super::super::AdaLoraConfig;

/// Form of the regulariser over all matrices M, each with its vectors as rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Orthogonality {
    /// `mean_M ||M M^T - I||_F`: what PEFT and the authors' code compute.
    #[default]
    MeanNorm,
    /// `sum_M ||M M^T - I||_F^2`: what the paper states.
    SumSquares,
}

impl Orthogonality {
    /// The form that the settings ask for.
    pub(super) fn of(config: &AdaLoraConfig) -> Self {
        if config.paper_form { Self::SumSquares } else { Self::MeanNorm }
    }

    /// Adds `gamma` times the gradient of one of `matrices` matrices to `gradient`, and returns its share of
    /// the penalty. `m` is `[rank, length]` row-major.
    ///
    /// With `G = M M^T - I`: `d ||G||_F / dM = 2 G M / ||G||_F` (0 at G = 0), `d ||G||_F^2 / dM = 4 G M`.
    pub(super) fn add(
        self,
        gamma: f64,
        matrices: usize,
        rank: usize,
        m: &[f32],
        gradient: &mut [f32],
    ) -> f64 {
        if rank == 0 || gamma == 0.0 {
            return 0.0;
        }
        let length = m.len() / rank;
        let row = |i: usize| &m[i * length..(i + 1) * length];
        let mut gram = vec![0.0; rank * rank];
        for i in 0..rank {
            for j in 0..=i {
                let dot: f64 = row(i).iter().zip(row(j)).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
                let entry = if i == j { dot - 1.0 } else { dot };
                (gram[i * rank + j], gram[j * rank + i]) = (entry, entry);
            }
        }
        let square: f64 = gram.iter().map(|g| g * g).sum();
        let norm = square.sqrt();
        let (share, factor) = match self {
            Self::MeanNorm if norm == 0.0 => (0.0, 0.0),
            Self::MeanNorm => (gamma * norm / matrices as f64, 2.0 * gamma / (norm * matrices as f64)),
            Self::SumSquares => (gamma * square, 4.0 * gamma),
        };
        for (i, own) in gradient.chunks_mut(length).enumerate() {
            for j in 0..rank {
                let weight = factor * gram[i * rank + j];
                own.iter_mut().zip(row(j)).for_each(|(g, v)| *g += (weight * f64::from(*v)) as f32);
            }
        }
        share
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::host::{normals, stream};
    use super::Orthogonality::{self, MeanNorm, SumSquares};

    fn penalty(form: Orthogonality, rank: usize, m: &[f32]) -> f64 {
        form.add(0.3, 6, rank, m, &mut vec![0.0; m.len()])
    }

    #[test]
    fn the_gradient_is_that_of_the_penalty() {
        let (rank, length) = (4, 9);
        let draws = normals(&mut stream(5, "layer", "test"), rank * length);
        let m: Vec<f32> = draws.into_iter().map(|v| 0.4 * v as f32).collect();
        for form in [MeanNorm, SumSquares] {
            let mut gradient = vec![0.0; m.len()];
            form.add(0.3, 6, rank, &m, &mut gradient);
            let size = f64::from(gradient.iter().fold(0.0f32, |most, g| most.max(g.abs())));
            for i in 0..m.len() {
                let step = 1.0 / 1024.0;
                let moved = |by: f32| {
                    let mut m = m.clone();
                    m[i] += by;
                    penalty(form, rank, &m)
                };
                let slope = (moved(step) - moved(-step)) / f64::from(2.0 * step);
                assert!((slope - f64::from(gradient[i])).abs() < 1e-4 * size, "{form:?} {i}");
            }
        }
    }

    #[test]
    fn orthonormal_rows_cost_nothing() {
        let identity: Vec<f32> = (0..12).map(|i| if i % 5 == 0 { 1.0 } else { 0.0 }).collect();
        for form in [MeanNorm, SumSquares] {
            let mut gradient = vec![0.0; 12];
            assert_eq!(form.add(1.0, 2, 3, &identity, &mut gradient), 0.0);
            assert_eq!(gradient, [0.0; 12]);
        }
    }

    #[test]
    fn the_forms_differ_by_square_and_mean() {
        let m = [2.0f32, 0.0, 0.0, 1.0];
        // M M^T - I has one entry, 3.
        assert!((penalty(MeanNorm, 2, &m) - 0.3 * 3.0 / 6.0).abs() < 1e-12);
        assert!((penalty(SumSquares, 2, &m) - 0.3 * 9.0).abs() < 1e-12);
    }
}
