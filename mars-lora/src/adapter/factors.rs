//! One adapter on the host, in PEFT's orientation.

use crate::AdapterConfig;

/// The factors of one layer: the adapted layer computes `W x + b + s * B (A x)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Factors {
    /// Module path of the layer.
    pub path: String,
    /// Rank, at least 1.
    pub rank: usize,
    /// Inputs of the layer.
    pub inputs: usize,
    /// Outputs of the layer.
    pub outputs: usize,
    /// `lora_A`, `[rank, inputs]` row-major.
    pub a: Vec<f32>,
    /// `lora_B`, `[outputs, rank]` row-major.
    pub b: Vec<f32>,
    /// DoRA's magnitude of each output, `[outputs]`: the layer computes `m / ||W + s B A|| * (W + s B A) x + b`,
    /// with the norm of each row of the weight.
    pub magnitude: Option<Vec<f32>>,
}

impl Factors {
    /// Number of parameters.
    pub fn parameters(&self) -> usize {
        self.a.len() + self.b.len() + self.magnitude.as_ref().map_or(0, Vec::len)
    }

    /// The same product without the components whose row of A and column of B are zero: the gradient of either is a multiple
    /// of the other, so that they would stay zero in any training. One component is kept in any case.
    pub fn without_zeros(self) -> Self {
        let (rank, inputs) = (self.rank, self.inputs);
        let zero = |at: usize| {
            self.a[at * inputs..][..inputs].iter().all(|x| *x == 0.0)
                && self.b.iter().skip(at).step_by(rank).all(|x| *x == 0.0)
        };
        let mut kept: Vec<usize> = (0..rank).filter(|at| !zero(*at)).collect();
        if kept.len() == rank {
            return self;
        }
        if kept.is_empty() {
            kept.push(0);
        }
        let a = kept.iter().flat_map(|at| &self.a[at * inputs..][..inputs]).copied().collect();
        let b = self.b.chunks_exact(rank).flat_map(|row| kept.iter().map(|at| row[*at])).collect();
        Self { rank: kept.len(), a, b, ..self }
    }
}

/// An adapter: its configuration and the factors of each adapted layer in site order.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// Ranks, scales, targets, variants and seed.
    pub config: AdapterConfig,
    /// One entry for each adapted layer.
    pub factors: Vec<Factors>,
    /// Frozen factors whose product is subtracted, `s * (B A - B0 A0)`: the part of the weight that
    /// [`Init::Pissa`](crate::Init::Pissa) trains. Empty for other adapters.
    pub offset: Vec<Factors>,
}

impl Adapter {
    /// Number of trainable parameters.
    pub fn parameters(&self) -> usize {
        self.factors.iter().map(Factors::parameters).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two inputs and two outputs.
    fn factors(a: &[f32], b: &[f32]) -> Factors {
        let rank = a.len() / 2;
        let (a, b) = (a.to_vec(), b.to_vec());
        Factors { path: "q".into(), rank, inputs: 2, outputs: 2, a, b, magnitude: Some(vec![1.0, 2.0]) }
    }

    #[test]
    fn what_can_never_train_goes_and_all_else_stays() {
        let padded = factors(&[0.0, 0.0, 1.0, 0.0, 0.0, -0.0], &[0.0, 2.0, 0.0, 0.0, 3.0, -0.0]);
        assert_eq!(padded.without_zeros(), factors(&[1.0, 0.0], &[2.0, 3.0]));
        let nothing = factors(&[0.0; 6], &[0.0; 6]);
        assert_eq!(nothing.without_zeros(), factors(&[0.0; 2], &[0.0; 2]));
        // As first values are: one of the two is zero, and gets a gradient from the other.
        for other in [
            factors(&[1.0, 2.0, 3.0, 4.0], &[0.0; 4]),
            factors(&[0.0; 4], &[1.0, 2.0, 3.0, 4.0]),
            factors(&[0.0, 0.0, 1.0, 0.0], &[0.0, 0.0, 2.0, 0.0]),
        ] {
            assert_eq!(other.clone().without_zeros(), other);
        }
    }
}
