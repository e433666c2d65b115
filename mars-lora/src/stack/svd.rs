//! The strongest singular triplets of a matrix on any device.
//!
//! Randomised subspace iteration (Halko, Martinsson and Tropp 2011, arXiv 0909.4061, algorithms 4.4 and 5.1):
//! the large products run on the device, orthogonalisation and the small decomposition on the host in f64.

use super::host::host;
use burn::tensor::{Tensor, TensorData};
use nalgebra::{DMatrix, SymmetricEigen};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use rand_distr::{Distribution, StandardNormal};

/// Columns beyond the rank, which the iteration converges by; the paper advises 5 to 10, ours is more.
const OVERSAMPLING: usize = 16;
/// Passes over the matrix and its transpose.
const ITERATIONS: usize = 12;

/// The strongest singular values and their vectors, strongest first.
pub(crate) struct Triplets {
    /// Left vectors, `[rows, rank]`.
    pub(crate) u: DMatrix<f32>,
    /// Values.
    pub(crate) s: Vec<f64>,
    /// Right vectors, `[columns, rank]`.
    pub(crate) v: DMatrix<f32>,
}

/// The `rank` strongest triplets of `matrix` `[rows, columns]`; `rank` is at most the smaller side.
/// Exact up to rounding if `rank + OVERSAMPLING` reaches the smaller side; otherwise the error of value i falls
/// with `(s_w / s_i)^(2 * ITERATIONS + 1)`, where `s_w` is the largest value beyond the subspace.
pub(crate) fn strongest(matrix: &Tensor<2>, rank: usize, seed: u64) -> Triplets {
    let [rows, columns] = matrix.dims();
    let width = (rank + OVERSAMPLING).min(rows).min(columns);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let start = DMatrix::<f64>::from_fn(columns, width, |_, _| StandardNormal.sample(&mut rng));
    let mut left = orthonormal(product(matrix.clone(), &start));
    // A subspace as wide as the matrix is exact at once.
    let passes = if width == rows.min(columns) { 0 } else { ITERATIONS };
    for _ in 0..passes {
        let right = orthonormal(product(matrix.clone().transpose(), &left));
        left = orthonormal(product(matrix.clone(), &right));
    }
    // matrix = left * right^T up to what the subspace misses, with right^T right small and symmetric.
    let right = product(matrix.clone().transpose(), &left);
    let eigen = SymmetricEigen::new(right.transpose() * &right);
    let mut order: Vec<usize> = (0..width).collect();
    order.sort_by(|a, b| eigen.eigenvalues[*b].total_cmp(&eigen.eigenvalues[*a]));
    let s: Vec<f64> = order[..rank].iter().map(|i| eigen.eigenvalues[*i].max(0.0).sqrt()).collect();
    let turn = DMatrix::from_fn(width, rank, |i, j| eigen.eigenvectors[(i, order[j])]);
    let u = (left * &turn).map(|x| x as f32);
    let mut v = right * turn;
    for (mut column, s) in v.column_iter_mut().zip(&s) {
        column /= s.max(f64::MIN_POSITIVE);
    }
    Triplets { u, s, v: v.map(|x| x as f32) }
}

fn orthonormal(matrix: DMatrix<f64>) -> DMatrix<f64> {
    matrix.qr().q()
}

fn product(left: Tensor<2>, right: &DMatrix<f64>) -> DMatrix<f64> {
    let (rows, columns) = right.shape();
    let data: Vec<f32> = right.transpose().iter().map(|x| *x as f32).collect();
    let right = Tensor::<2>::from_data(TensorData::new(data, [rows, columns]), &left.device());
    let count = left.dims()[0];
    DMatrix::from_row_iterator(count, columns, host(left.matmul(right)).into_iter().map(f64::from))
}
