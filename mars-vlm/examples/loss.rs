//! The loss of a tiny checkpoint on one sample: load, batch, forward. `cargo run -p mars-vlm --example loss`
//!
//! The sample is written by hand, as a `Processor` would encode it: a question with one image, and its answer. For a
//! model directory with a tokenizer, `EncodedExamples` makes such batches from a data set.

use anyhow::Result;
use burn::tensor::Device;
use mars_lora::{AdapterStack, Model};
use mars_vlm::model::{Idefics3, Sequence, VlmBatch};
use mars_vlm::processor::{EncodedText, Grid, ImageLayout, ImageShape, Pixels};
use std::{path::Path, sync::Arc};

fn main() -> Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/idefics3/gqa_split");
    let device = Device::flex();
    let model = Idefics3::from_dir(&dir, &device)?;
    let (side, features) = (model.config.vision_config.image_size, model.config.tokens_per_tile());
    let image = model.config.image_token_id;

    // A grey picture of one tile, whose features stand between the tokens of the question.
    let shape = ImageShape { grid: Grid::default(), tiles: 1, features };
    let pixels = Pixels {
        values: vec![0.0; 3 * side * side],
        tile_shape: vec![3, side, side],
        images: vec![ImageLayout::plain(shape)],
    };
    let (question, answer) = ([5, 6, 7], [8, 9]);
    let ids = [&question[..], &vec![image; features], &answer].concat();
    let answers = (0..ids.len()).map(|at| at + answer.len() >= ids.len()).collect();
    let text = EncodedText { ids, answers, image_tokens: features, ..EncodedText::default() };
    let sequence = Arc::new(Sequence { text, pixels: Some(Arc::new(pixels)) });

    let batch = VlmBatch::new(&[vec![sequence]], image, &device).map_err(anyhow::Error::msg)?;
    let losses = model.forward(&batch, &AdapterStack::base(1, &model), false);
    let mean = losses.mean().into_data();
    let values: Vec<f32> = mean.iter::<f32>().collect();
    #[allow(clippy::print_stdout)]
    {
        println!("{} answer tokens, mean loss {:.4} nats", answer.len(), values[0]);
    }
    Ok(())
}
