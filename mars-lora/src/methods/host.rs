//! Small matrices and seeded normal numbers on the host.

use crate::{Factors, stack::first_values::fnv1a};
use nalgebra::DMatrix;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// A row-major slice as a matrix.
pub(super) fn matrix(rows: usize, columns: usize, values: &[f32]) -> DMatrix<f64> {
    DMatrix::from_row_iterator(rows, columns, values.iter().map(|v| f64::from(*v)))
}

/// A matrix as row-major values.
pub(super) fn row_major(matrix: &DMatrix<f64>) -> Vec<f32> {
    let (rows, columns) = matrix.shape();
    (0..rows).flat_map(|i| (0..columns).map(move |j| matrix[(i, j)] as f32)).collect()
}

/// Factors of zeros.
pub(super) fn blank(path: &str, rank: usize, inputs: usize, outputs: usize) -> Factors {
    let (a, b) = (vec![0.0; rank * inputs], vec![0.0; outputs * rank]);
    Factors { path: path.to_owned(), rank, inputs, outputs, a, b, magnitude: None }
}

/// A stream of numbers that depends on seed, layer and purpose alone.
pub(super) fn stream(seed: u64, path: &str, purpose: &str) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(fnv1a(&format!("{purpose} of {path}")));
    rng
}

/// Standard normal numbers.
pub(super) fn normals(rng: &mut ChaCha8Rng, count: usize) -> Vec<f64> {
    (0..count).map(|_| StandardNormal.sample(rng)).collect()
}

/// Columns `from..` of an orthonormal basis of the columns of `m` that keeps their order.
///
/// Columns that depend on earlier ones give unit vectors orthogonal to all others.
/// By Householder QR, so signs of columns may turn.
pub(super) fn basis(m: DMatrix<f64>, from: usize) -> DMatrix<f64> {
    let columns = m.ncols();
    m.qr().q().columns(from, columns - from).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normals_have_mean_zero_and_variance_one() {
        let draws = normals(&mut stream(1, "layer", "test"), 20_000);
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|v| v * v).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "{mean} {variance}");
        assert_ne!(normals(&mut stream(1, "layer", "other"), 4), draws[..4]);
        assert_ne!(normals(&mut stream(2, "layer", "test"), 4), draws[..4]);
    }

    #[test]
    fn a_basis_is_orthonormal_even_of_dependent_columns() {
        let values = normals(&mut stream(3, "layer", "test"), 24);
        let mut m = DMatrix::from_row_slice(8, 6, &[0.0; 48]);
        m.view_mut((0, 0), (8, 3)).copy_from_slice(&values);
        // Column 3 repeats column 0; 4 and 5 are zero.
        let first = m.column(0).into_owned();
        m.set_column(3, &first);
        let q = basis(m, 0);
        assert!((q.transpose() * &q - DMatrix::identity(6, 6)).norm() < 1e-12);
    }

    #[test]
    fn row_major_comes_back() {
        let values: Vec<f32> = (0..12).map(|v| v as f32 / 7.0).collect();
        assert_eq!(row_major(&matrix(3, 4, &values)), values);
        assert_eq!(matrix(3, 4, &values)[(1, 2)], f64::from(values[6]));
    }
}
