//! Random points and their classes.

use super::Batch;
use burn::tensor::Device;
use mars_lora::{Error, Examples};
use rand::Rng;

/// Samples: inputs between -1 and 1, and the class.
pub struct Points(Vec<(Vec<f32>, i32)>);

/// The class of a sample: where the largest of its first `classes` inputs is.
///
/// # Panics
/// When there are fewer inputs than classes, or no class.
pub fn largest(inputs: &[f32], classes: usize) -> i32 {
    assert!(classes > 0, "there are no classes");
    (1..classes).fold(0, |best, i| if inputs[i].total_cmp(&inputs[best]).is_ge() { i } else { best }) as i32
}

impl Points {
    /// `count` samples of `inputs` values each.
    pub fn random(rng: &mut impl Rng, count: usize, inputs: usize, classes: usize) -> Self {
        let mut point = || {
            let x: Vec<f32> = (0..inputs).map(|_| rng.random_range(-1.0..1.0)).collect();
            let class = largest(&x, classes);
            (x, class)
        };
        Self((0..count).map(|_| point()).collect())
    }
}

impl Examples for Points {
    type Batch = Batch;

    fn len(&self) -> usize {
        self.0.len()
    }

    fn id(&self, index: usize) -> String {
        index.to_string()
    }

    fn batch(&self, rows: &[Vec<usize>], device: &Device) -> Result<Batch, Error> {
        let all = || rows.iter().flatten().map(|i| &self.0[*i]);
        let x = all().flat_map(|(x, _)| x.iter().copied()).collect();
        let targets = all().map(|(_, class)| *class).collect();
        Ok(Batch::new(rows.len(), x, targets, device))
    }
}
