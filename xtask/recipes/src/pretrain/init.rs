//! Initial weights, by the names that they have on disk.

use mars_vlm::{Error, checkpoint::Source};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::normal::standard_normal;

/// Scale of the layers that write into the residual stream, of which there are two per block.
const RESIDUAL: f64 = 0.35;

/// Normal weights of variance 1 / inputs, norms at the identity, biases at 0.
pub struct Initialiser {
    rng: ChaCha8Rng,
}

impl Initialiser {
    /// The same weights for the same seed.
    pub fn new(seed: u64) -> Self {
        Self { rng: ChaCha8Rng::seed_from_u64(seed) }
    }
}

impl Source for Initialiser {
    fn values(&mut self, name: &str, shape: &[usize]) -> Result<Vec<f32>, Error> {
        let count = shape.iter().product();
        let deviation = match shape {
            [_] if name.ends_with(".weight") => return Ok(vec![1.0; count]),
            [_] => return Ok(vec![0.0; count]),
            [_, inputs @ ..] if !inputs.is_empty() => deviation(name, inputs.iter().product()),
            _ => {
                return Err(Error::Argument(format!("initial weights: tensor `{name}` has shape {shape:?}")));
            }
        };
        Ok((0..count).map(|_| (deviation * standard_normal(&mut self.rng)) as f32).collect())
    }
}

fn deviation(name: &str, inputs: usize) -> f64 {
    let usual = (inputs as f64).powf(-0.5);
    let is = |part: &str| name.contains(part);
    if is("embed_tokens") {
        1.0
    } else if is("position_embedding") {
        0.3
    } else if is("lm_head") {
        0.5 * usual
    } else if ["o_proj", "out_proj", "down_proj", "fc2"].into_iter().any(is) {
        RESIDUAL * usual
    } else {
        usual
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn weights_have_the_spread_of_their_kind() {
        let mut source = Initialiser::new(0);
        let spread = |values: Vec<f32>| {
            let squares: f64 = values.iter().map(|v| f64::from(*v).powi(2)).sum();
            (squares / values.len() as f64).sqrt()
        };
        for (name, wanted) in [
            ("model.text_model.layers.0.self_attn.q_proj.weight", 0.1),
            ("model.text_model.layers.0.mlp.down_proj.weight", 0.035),
            ("model.text_model.embed_tokens.weight", 1.0),
        ] {
            let found = spread(source.values(name, &[200, 100]).unwrap());
            assert!((found / wanted - 1.0).abs() < 0.05, "{name}: {found}");
        }
        assert_eq!(source.values("a.norm.weight", &[3]).unwrap(), [1.0; 3]);
        assert_eq!(source.values("a.proj.bias", &[3]).unwrap(), [0.0; 3]);
    }
}
