//! The triplets of one layer: a singular value with its two vectors each.

use super::super::host::{blank, normals, stream};
use crate::{Factors, Site};

/// Standard deviation of fresh A and B (PEFT and the authors).
const SPREAD: f64 = 0.02;

/// `B diag(E) A` of one layer.
#[derive(Clone, Debug, PartialEq)]
pub struct Triplets {
    /// Module path of the layer.
    pub path: String,
    /// Name of its module.
    pub module: String,
    /// Inputs of the layer.
    pub inputs: usize,
    /// Outputs of the layer.
    pub outputs: usize,
    /// Right vectors `[rank, inputs]`, row-major.
    pub a: Vec<f32>,
    /// Values `[rank]`; 0 where a triplet is pruned.
    pub e: Vec<f32>,
    /// Left vectors `[outputs, rank]`, row-major.
    pub b: Vec<f32>,
}

impl Triplets {
    /// Fresh ones for `site`: A and B normal with standard deviation 0.02, E zero.
    pub fn fresh(site: &Site, rank: usize, seed: u64) -> Self {
        let draw = |purpose: &str, count: usize| {
            let values = normals(&mut stream(seed, &site.path, purpose), count);
            values.into_iter().map(|v| (SPREAD * v) as f32).collect()
        };
        Self {
            path: site.path.clone(),
            module: site.module.clone(),
            inputs: site.inputs,
            outputs: site.outputs,
            a: draw("adalora A", rank * site.inputs),
            e: vec![0.0; rank],
            b: draw("adalora B", site.outputs * rank),
        }
    }

    /// Number of triplets, pruned ones included.
    pub fn rank(&self) -> usize {
        self.e.len()
    }

    /// Number of triplets whose value is not zero.
    pub fn living(&self) -> usize {
        self.e.iter().filter(|e| **e != 0.0).count()
    }

    /// As plain factors: the rows of A multiplied by their values.
    pub(super) fn effective(&self) -> Factors {
        let mut factors = blank(&self.path, self.rank(), self.inputs, self.outputs);
        let rows = self.a.chunks(self.inputs).zip(&self.e);
        factors.a = rows.flat_map(|(row, e)| row.iter().map(move |v| v * e)).collect();
        factors.b.clone_from(&self.b);
        factors
    }

    /// As plain factors without the pruned triplets; nothing if all are.
    pub(super) fn compact(&self) -> Option<Factors> {
        let living: Vec<usize> = (0..self.rank()).filter(|i| self.e[*i] != 0.0).collect();
        if living.is_empty() {
            return None;
        }
        let whole = self.effective();
        let mut factors = blank(&self.path, living.len(), self.inputs, self.outputs);
        factors.a =
            living.iter().flat_map(|i| whole.a[i * self.inputs..(i + 1) * self.inputs].to_vec()).collect();
        factors.b = whole.b.chunks(self.rank()).flat_map(|row| living.iter().map(|i| row[*i])).collect();
        Some(factors)
    }

    /// Gradients of A, E and B from those of the effective factors.
    /// With `A~ = diag(E) A`: `dA = diag(E) dA~`, `dE_i = sum_j A_ij dA~_ij`, `dB = dB~`.
    pub(super) fn gradients(&self, effective: &Factors) -> [Vec<f32>; 3] {
        let mut a = effective.a.clone();
        let mut e = vec![0.0; self.rank()];
        for ((row, own), (e, value)) in
            a.chunks_mut(self.inputs).zip(self.a.chunks(self.inputs)).zip(e.iter_mut().zip(&self.e))
        {
            *e = own.iter().zip(&*row).map(|(a, g)| f64::from(*a) * f64::from(*g)).sum::<f64>() as f32;
            row.iter_mut().for_each(|g| *g *= value);
        }
        [a, e, effective.b.clone()]
    }
}

/// `[rows, columns]` row-major as `[columns, rows]`.
pub(super) fn transposed(values: &[f32], columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|j| values.iter().skip(j).step_by(columns).copied()).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn triplets() -> Triplets {
        let site = Site::linear("m.q", "llm", 5, 4);
        let mut fresh = Triplets::fresh(&site, 3, 1);
        fresh.e = vec![0.5, 0.0, -2.0];
        fresh
    }

    #[test]
    fn leaving_pruned_triplets_out_changes_nothing() {
        let triplets = triplets();
        let product = |f: &Factors| -> Vec<f32> {
            let cell = |(o, i)| (0..f.rank).map(|r| f.b[o * f.rank + r] * f.a[r * f.inputs + i]).sum();
            (0..4).flat_map(|o| (0..5).map(move |i| (o, i))).map(cell).collect()
        };
        let compact = triplets.compact().unwrap();
        assert_eq!((compact.rank, triplets.living()), (2, 2));
        assert_eq!(product(&compact), product(&triplets.effective()));
        assert!(Triplets { e: vec![0.0; 3], ..triplets }.compact().is_none());
    }

    #[test]
    fn the_chain_rule_holds_along_a_direction() {
        // For a loss linear in the effective factors, the change along any direction is the inner product.
        let start = triplets();
        let other = Triplets::fresh(&Site::linear("other", "llm", 5, 4), 3, 2);
        let direction = Triplets { e: vec![1.0, -0.5, 0.3], ..other };
        let slope: Factors = direction.effective();
        let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(a, b)| f64::from(a * b)).sum::<f64>();
        let loss = |t: &Triplets| dot(&t.effective().a, &slope.a) + dot(&t.b, &slope.b);
        let moved = |by: f32| {
            let add = |x: &[f32], d: &[f32]| x.iter().zip(d).map(|(x, d)| x + by * d).collect();
            let (a, e, b) =
                (add(&start.a, &direction.a), add(&start.e, &direction.e), add(&start.b, &direction.b));
            Triplets { a, e, b, ..start.clone() }
        };
        let numeric = (loss(&moved(0.01)) - loss(&moved(-0.01))) / 0.02;
        let [a, e, b] = start.gradients(&slope);
        let exact = dot(&a, &direction.a) + dot(&e, &direction.e) + dot(&b, &direction.b);
        assert!((numeric - exact).abs() < 1e-4 * exact.abs(), "{numeric} {exact}");
    }

    #[test]
    fn transposing_twice_is_nothing() {
        let values: Vec<f32> = (0..12).map(|v| v as f32).collect();
        assert_eq!(transposed(&transposed(&values, 4), 3), values);
        assert_eq!(transposed(&values, 4)[1], 4.0);
    }
}
