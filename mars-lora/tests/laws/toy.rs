//! The toy model of these laws: two layers with biases and gelu between them.

use burn::tensor::activation::gelu;
use mars_testkit::device::device;
use mars_testkit::toy::{Layer, largest};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(crate) use mars_testkit::toy::{Batch, Toy};

pub(crate) const INPUTS: usize = 80;
pub(crate) const HIDDEN: usize = 72;
pub(crate) const CLASSES: usize = 64;

pub(crate) fn numbers(seed: u64, count: usize, size: f32) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..count).map(|_| rng.random_range(-size..size)).collect()
}

pub(crate) fn toy() -> Toy {
    let layer = |site: u64, path, module, pattern, sizes: [usize; 2]| Layer {
        path,
        module,
        pattern,
        sizes,
        weight: numbers(site, sizes[0] * sizes[1], 0.5),
        bias: Some(numbers(90 + site, sizes[1], 0.5)),
    };
    let ve = layer(0, "model.vision.fc1", "ve", r"vision\..*", [INPUTS, HIDDEN]);
    let llm = layer(1, "model.text.q_proj", "llm", r"text\..*", [HIDDEN, CLASSES]);
    Toy::new([ve, llm], gelu)
}

/// The same with a table of embeddings, which its forward pass does not read.
pub(crate) fn toy_with_table(vocabulary: usize, width: usize) -> Toy {
    let weight = numbers(50, vocabulary * width, 0.5);
    toy().with_table("model.text.embed_tokens", "llm", [vocabulary, width], weight)
}

/// Sample `step` of each stream, `rows` rows, one stream for each adapter.
pub(crate) fn samples(streams: &[u64], step: usize, rows: usize) -> Batch {
    let x = streams.iter().flat_map(|stream| numbers(stream * 1000 + step as u64, rows * INPUTS, 1.0));
    let x: Vec<f32> = x.collect();
    let targets = x.chunks(INPUTS).map(|row| largest(row, CLASSES)).collect();
    Batch::new(streams.len(), x, targets, &device())
}
