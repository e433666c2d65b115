//! Trained adapters of another rank: growth that changes nothing, truncation that changes least.
//!
//! Truncation keeps the strongest singular directions of B A, which by Eckart and Young is the nearest product of
//! the lower rank. With B = Q_B R_B and A^T = Q_A R_A only the small R_B R_A^T is decomposed.

use crate::{Adapter, AdapterConfig, Error, Factors, Init, Model};
use nalgebra::{DMatrix, DVector};

impl Adapter {
    /// This adapter with the ranks, scales and targets of `config`, and the function it has learnt: lower ranks
    /// keep the strongest directions, higher ones get fresh rows of A and columns of zero in B (of an embedding, rows of zero in A and fresh columns of B). Layers that are
    /// new begin fresh, layers that are not in `config` are left out.
    /// Cost: the QR decompositions of A^T and B in f64 on the host for each layer that shrinks. DoRA's
    /// magnitudes stay as they are.
    ///
    /// # Errors
    /// As [`Adapter::fresh`]; [`Error::Variant`] for adapters that began with PiSSA, whose difference from the
    /// base has twice the rank: see [`Adapter::plain`].
    pub fn resized<M: Model>(&self, config: AdapterConfig, model: &M) -> Result<Self, Error> {
        if !self.offset.is_empty() {
            return Err(Error::Variant {
                why: "make a PiSSA adapter plain before its ranks are changed".into(),
            });
        }
        let mut fresh = Self::fresh(config, model)?;
        for new in &mut fresh.factors {
            let Some(old) = self.factors.iter().find(|f| f.path == new.path) else { continue };
            let ratio =
                self.config.site_scale(&old.path, old.rank) / fresh.config.site_scale(&new.path, new.rank);
            let magnitude = new.magnitude.take().map(|own| old.magnitude.clone().unwrap_or(own));
            let scaled =
                Factors { b: old.b.iter().map(|b| (f64::from(*b) * ratio) as f32).collect(), ..old.clone() };
            *new = match new.rank {
                rank if rank < old.rank => Factors { magnitude, ..scaled.truncated(rank).0 },
                _ => Factors { magnitude, ..scaled.grown(new) },
            };
        }
        Ok(fresh)
    }

    /// The same function as a plain LoRA, without an offset: `s (B A - B0 A0)` is one product of twice the rank.
    ///
    /// Scales of single layers keep what each layer multiplies with.
    #[must_use]
    pub fn plain(&self) -> Self {
        if self.offset.is_empty() {
            return self.clone();
        }
        let mut config = AdapterConfig { init: Init::Uniform, ..self.config.clone() };
        let both = self.factors.iter().zip(&self.offset).map(|(own, frozen)| {
            config.layer_scales.insert(own.path.clone(), self.config.site_scale(&own.path, own.rank));
            config.layer_ranks.insert(own.path.clone(), 2 * own.rank);
            let a = [own.a.as_slice(), &frozen.a].concat();
            let b = own.b.chunks(own.rank).zip(frozen.b.chunks(own.rank));
            let b = b.flat_map(|(own, frozen)| own.iter().copied().chain(frozen.iter().map(|b| -b)));
            Factors { rank: 2 * own.rank, a, b: b.collect(), ..own.clone() }
        });
        let factors = both.collect();
        Self { config, factors, offset: Vec::new() }
    }
}

impl Factors {
    /// The nearest product of rank `rank` (1 to the present one), shared evenly between A and B, and the singular
    /// values of the present product, strongest first.
    /// B becomes `U sqrt(S)` and A `sqrt(S) V^T` of the singular value decomposition of B A; the squared
    /// Frobenius error is the sum of the squares of the values that are left out. If the decomposition fails
    /// the factors are returned as they are.
    pub fn truncated(&self, rank: usize) -> (Self, Vec<f64>) {
        let a = DMatrix::from_row_iterator(self.rank, self.inputs, self.a.iter().map(|x| f64::from(*x)));
        let b = DMatrix::from_row_iterator(self.outputs, self.rank, self.b.iter().map(|x| f64::from(*x)));
        let (right, left) = (a.transpose().qr(), b.qr());
        let svd = (left.r() * right.r().transpose()).svd(true, true);
        let values: Vec<f64> = svd.singular_values.iter().copied().collect();
        let (Some(u), Some(v_t)) = (svd.u, svd.v_t) else { return (self.clone(), values) };
        let rank = rank.min(values.len());
        let roots = DVector::from_iterator(rank, values[..rank].iter().map(|s| s.sqrt()));
        let roots = DMatrix::from_diagonal(&roots);
        let b = left.q() * u.columns(0, rank) * &roots;
        let a = roots * v_t.rows(0, rank) * right.q().transpose();
        let row_major = |m: DMatrix<f64>| m.transpose().iter().map(|x| *x as f32).collect::<Vec<f32>>();
        (Self { rank, a: row_major(a), b: row_major(b), ..self.clone() }, values)
    }

    /// The same product at the rank of `fresh` (at least the present one), whose new rows of A it takes; of an embedding, whose
    /// fresh A is zero, the new columns of B.
    pub(crate) fn grown(&self, fresh: &Self) -> Self {
        let drawn_b = fresh.a.iter().all(|a| *a == 0.0);
        let a = self.a.iter().chain(&fresh.a[self.a.len()..]).copied().collect();
        let rows = self.b.chunks(self.rank).zip(fresh.b.chunks(fresh.rank));
        let row = |(own, fresh): (&[f32], &[f32])| -> Vec<f32> {
            let new = fresh[self.rank..].iter().map(|b| if drawn_b { *b } else { 0.0 });
            own.iter().copied().chain(new).collect()
        };
        Self { rank: fresh.rank, a, b: rows.flat_map(row).collect(), ..self.clone() }
    }
}
