//! First stage: encoder and connector learn to tell the class of every image token, through a head that is
//! thrown away afterwards.

use anyhow::Result;
use burn::{
    module::Module,
    nn::{Linear, LinearConfig},
    optim::GradientsParams,
    tensor::{Int, Tensor, TensorData, activation::log_softmax},
};
use mars_lora::AdapterStack;
use mars_vlm::model::{Idefics3, Idefics3Net};

use super::{Recipe, encode::Encoder};
use crate::stream::{Labelled, Stream};

/// The model with the head of this stage.
#[derive(Module, Debug)]
struct Reader {
    net: Idefics3Net,
    head: Linear,
}

/// Trains `model`; `report` is given the step and the loss and accuracy of its batch.
///
/// # Errors
/// When a batch cannot be made, and those of `report`.
pub fn train<S: Stream>(
    model: &mut Idefics3,
    encoder: &Encoder,
    stream: &mut S,
    recipe: &Recipe,
    mut report: impl FnMut(usize, f32, f32) -> Result<()>,
) -> Result<()> {
    let base = AdapterStack::base(1, model);
    let device = model.net.language.text.embed_tokens.weight.val().device();
    device.seed(recipe.seed);
    let width = model.config.text_config.hidden_size;
    let mut reader =
        Reader { net: model.net.clone(), head: LinearConfig::new(width, S::CLASSES).init(&device) };
    let mut optimiser = super::answering::adamw(recipe).init();
    let steps = recipe.reading.steps;
    for step in 0..steps {
        let pictures = stream.labelled(recipe.batch);
        let pixels = encoder.pixels(pictures.iter().map(|p| &p.image), &device)?;
        let features = reader.net.connector.forward(reader.net.vision.forward(pixels, &base), &base);
        let cells = features.dims()[0] * features.dims()[1];
        let logits = reader.head.forward(features.reshape([cells, width]));
        let labels = labels(&pictures);
        let targets = Tensor::<2, Int>::from_data(TensorData::new(labels, [cells, 1]), &device);
        let loss = log_softmax(logits.clone(), 1).gather(1, targets.clone()).neg().mean();
        if (step + 1) % recipe.report_every == 0 || step + 1 == steps {
            let hits = logits.argmax(1).equal(targets).float().mean();
            report(step + 1, loss.clone().into_scalar(), hits.into_scalar())?;
        }
        let gradients = GradientsParams::from_grads(loss.backward(), &reader);
        reader = optimiser.step(recipe.reading.rate(step), reader, gradients);
    }
    model.net = reader.net;
    Ok(())
}

fn labels(pictures: &[Labelled]) -> Vec<i32> {
    pictures.iter().flat_map(|p| &p.labels).map(|&label| label as i32).collect()
}
