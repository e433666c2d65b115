//! One layer of GeoLoRA: augmentation and truncation of `U S V^T`.
//!
//! All matrices are f64 on the host: orthonormality to 1e-12 is what makes the singular values of S those of
//! the update.

use super::super::host::{basis, normals, stream};
use nalgebra::DMatrix;

/// `U S V^T` with orthonormal U `[inputs, r]` and V `[outputs, r]`.
/// S is square, of any values (0 at the start); the singular values of S are those of the product.
#[derive(Clone, Debug, PartialEq)]
pub struct GeoLayer {
    /// Basis of the inputs.
    pub u: DMatrix<f64>,
    /// Coefficients `[r, r]`.
    pub s: DMatrix<f64>,
    /// Basis of the outputs.
    pub v: DMatrix<f64>,
}

impl GeoLayer {
    /// Random bases of `rank` columns (at most min(inputs, outputs)) and S = 0. `path` and `seed` determine them.
    pub fn fresh(path: &str, inputs: usize, outputs: usize, rank: usize, seed: u64) -> Self {
        let rank = rank.min(inputs).min(outputs);
        let draw = |purpose: &str, rows: usize| {
            let values = normals(&mut stream(seed, path, purpose), rows * rank);
            basis(DMatrix::from_vec(rows, rank, values), 0)
        };
        let (u, v) = (draw("geolora U", inputs), draw("geolora V", outputs));
        Self { u, s: DMatrix::zeros(rank, rank), v }
    }

    /// Current rank.
    pub fn rank(&self) -> usize {
        self.s.nrows()
    }

    /// `U S V^T`, `[inputs, outputs]`.
    pub fn product(&self) -> DMatrix<f64> {
        &self.u * &self.s * self.v.transpose()
    }

    /// One step against the gradient in a space widened to at most `max` ranks.
    ///
    /// With the gradient G of the product, `k = G V` `[inputs, r]` and `l = G^T U` `[outputs, r]`. New basis vectors span
    /// what k and l have outside of U and V, and
    /// `S^ = [[S - rate U^T G V, -rate l^T V~], [-rate U~^T k, 0]]`.
    /// The new rank is `min(2 r, max, inputs, outputs)`. U~ and V~ are the new columns of orthonormal bases of
    /// `[U, k]` and `[V, l]`. `rate` is the learning rate of this step, schedule and clipping included; the
    /// step is steepest descent, not AdamW.
    pub fn augment(&mut self, k: &DMatrix<f64>, l: &DMatrix<f64>, rate: f64, max: usize) {
        let rank = self.rank();
        let most = max.min(self.u.nrows()).min(self.v.nrows());
        let new = (2 * rank).min(most).saturating_sub(rank);
        let widened = |base: &DMatrix<f64>, along: &DMatrix<f64>| {
            let mut both = DMatrix::zeros(base.nrows(), rank + new);
            both.columns_mut(0, rank).copy_from(base);
            both.columns_mut(rank, new).copy_from(&along.columns(0, new));
            basis(both, rank)
        };
        let (u, v) = (widened(&self.u, k), widened(&self.v, l));
        let mut s = DMatrix::zeros(rank + new, rank + new);
        s.view_mut((0, 0), (rank, rank)).copy_from(&(&self.s - (l.transpose() * &self.v) * rate));
        s.view_mut((0, rank), (rank, new)).copy_from(&(l.transpose() * &v * -rate));
        s.view_mut((rank, 0), (new, rank)).copy_from(&(u.transpose() * k * -rate));
        let joined = |left: &DMatrix<f64>, right: &DMatrix<f64>| {
            let mut both = left.clone().resize_horizontally(rank + new, 0.0);
            both.columns_mut(rank, new).copy_from(right);
            both
        };
        self.u = joined(&self.u, &u);
        self.v = joined(&self.v, &v);
        self.s = s;
    }

    fn is_finite(&self) -> bool {
        self.s.iter().all(|v| v.is_finite())
    }

    /// Singular values of the product, falling; zeros if S is not finite, whose decomposition would not end.
    pub fn singular_values(&self) -> Vec<f64> {
        if !self.is_finite() {
            return vec![0.0; self.rank()];
        }
        let mut values: Vec<f64> = self.s.singular_values().iter().copied().collect();
        values.sort_by(|a, b| b.total_cmp(a));
        values
    }

    /// Keeps the `rank` largest singular values (at least one): S becomes diagonal, and the bases turn with it.
    /// Does nothing if S is not finite.
    /// With `S = P diag(sigma) Q^T`: `U = U P_r`, `V = V Q_r`, `S = diag(sigma_r)`; the product loses the
    /// Frobenius norm of the values that are cut, which is the least possible (Eckart and Young).
    pub fn truncate(&mut self, rank: usize) {
        if !self.is_finite() {
            return;
        }
        let svd = self.s.clone().svd(true, true);
        let (Some(p), Some(qt)) = (svd.u, svd.v_t) else { return };
        let values = svd.singular_values;
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|i, j| values[*j].total_cmp(&values[*i]));
        order.truncate(rank.max(1));
        self.u = &self.u * p.select_columns(&order);
        self.v = &self.v * qt.select_rows(&order).transpose();
        self.s = DMatrix::from_diagonal(&values.select_rows(&order));
    }
}

/// The smallest number of leading `values` (falling) whose rest has a norm of at most `tau` times that of all.
pub(super) fn needed(values: &[f64], tau: f64) -> usize {
    let norm = |part: &[f64]| part.iter().map(|v| v * v).sum::<f64>().sqrt();
    let threshold = tau * norm(values);
    // Nothing is needed of zeros; a threshold of 0 keeps whatever is not zero.
    (0..values.len()).find(|j| norm(&values[*j..]) <= threshold).unwrap_or(values.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(rows: usize, columns: usize, purpose: &str) -> DMatrix<f64> {
        DMatrix::from_vec(rows, columns, normals(&mut stream(7, "layer", purpose), rows * columns))
    }

    fn is_orthonormal(m: &DMatrix<f64>) -> bool {
        (m.transpose() * m - DMatrix::identity(m.ncols(), m.ncols())).norm() < 1e-12
    }

    /// Steepest descent on `|U S V^T - target|^2 / 2`.
    fn descend(layer: &mut GeoLayer, target: &DMatrix<f64>, steps: usize, tau: f64) {
        for _ in 0..steps {
            let g = layer.product() - target;
            let (k, l) = (&g * &layer.v, g.transpose() * &layer.u);
            layer.augment(&k, &l, 0.2, 16);
            let rank = needed(&layer.singular_values(), tau);
            layer.truncate(rank.max(2));
        }
    }

    #[test]
    fn the_planted_rank_is_found_from_below_and_from_above() {
        let target = draw(40, 5, "left") * draw(5, 30, "right");
        for start in [2, 3, 8] {
            let mut layer = GeoLayer::fresh("layer", 40, 30, start, 1);
            descend(&mut layer, &target, 120, 0.01);
            let error = (layer.product() - &target).norm() / target.norm();
            assert_eq!(layer.rank(), 5, "from {start}");
            assert!(error < 1e-4, "from {start}: {error}");
            assert!(is_orthonormal(&layer.u) && is_orthonormal(&layer.v));
        }
    }

    #[test]
    fn augmentation_without_a_step_is_the_same_function() {
        let mut layer = GeoLayer { s: draw(4, 4, "s"), ..GeoLayer::fresh("layer", 20, 15, 4, 2) };
        let before = layer.product();
        layer.augment(&draw(20, 4, "k"), &draw(15, 4, "l"), 0.0, 6);
        assert_eq!(layer.rank(), 6);
        assert!(is_orthonormal(&layer.u) && is_orthonormal(&layer.v));
        assert!((layer.product() - before).norm() < 1e-12);
    }

    #[test]
    fn gradients_inside_the_bases_still_give_orthonormal_ones() {
        let mut layer = GeoLayer { s: draw(3, 3, "s"), ..GeoLayer::fresh("layer", 8, 9, 3, 2) };
        let (k, l) = (layer.u.clone(), DMatrix::zeros(9, 3));
        layer.augment(&k, &l, 0.1, 99);
        assert_eq!(layer.rank(), 6);
        assert!(is_orthonormal(&layer.u) && is_orthonormal(&layer.v));
    }

    #[test]
    fn truncation_loses_what_it_cuts_and_nothing_else() {
        let whole = GeoLayer { s: draw(6, 6, "s"), ..GeoLayer::fresh("layer", 20, 15, 6, 3) };
        let values = whole.singular_values();
        for rank in 1..=6 {
            let mut cut = whole.clone();
            cut.truncate(rank);
            let lost = (cut.product() - whole.product()).norm();
            let expected = values[rank..].iter().map(|v| v * v).sum::<f64>().sqrt();
            assert!((lost - expected).abs() < 1e-10, "rank {rank}: {lost} {expected}");
            assert!(is_orthonormal(&cut.u) && is_orthonormal(&cut.v));
        }
    }

    #[test]
    fn the_needed_rank_follows_the_tolerance() {
        let values = [4.0, 3.0, 0.3, 0.04, 0.003];
        let ranks = [0.0, 1e-4, 1e-3, 0.01, 0.1, 0.9].map(|tau| needed(&values, tau));
        assert_eq!(ranks, [5, 5, 4, 3, 2, 1]);
        assert_eq!(needed(&[0.0; 4], 0.1), 0);
    }
}
