//! Second stage: all weights learn to answer questions.

use anyhow::Result;
use burn::{
    grad_clipping::GradientClippingConfig,
    module::Module,
    optim::{AdamWConfig, GradientsParams},
};
use mars_lora::{AdapterStack, Model};
use mars_vlm::model::{Idefics3, Idefics3Net};

use super::{Recipe, encode::Encoder};
use crate::stream::{Phase, Stream};

/// The optimizer of both stages; gradients are clipped to norm 1, tensor by tensor.
pub fn adamw(recipe: &Recipe) -> AdamWConfig {
    AdamWConfig::new()
        .with_beta_1(0.9)
        .with_beta_2(0.98)
        .with_epsilon(1e-8)
        .with_weight_decay(recipe.weight_decay)
        .with_grad_clipping(Some(GradientClippingConfig::Norm(1.0)))
}

/// Trains `model`; `report` is given the step, the loss of its batch, and the weights without autodiff.
///
/// # Errors
/// When a batch cannot be made, and those of `report`.
pub fn train(
    model: &mut Idefics3,
    encoder: &Encoder,
    stream: &mut impl Stream,
    recipe: &Recipe,
    mut report: impl FnMut(usize, f32, Idefics3Net) -> Result<()>,
) -> Result<()> {
    let base = AdapterStack::base(1, model);
    let device = model.net.language.text.embed_tokens.weight.val().device();
    let mut optimiser = adamw(recipe).init();
    let steps = recipe.answering.steps;
    for step in 0..steps {
        let reading = (step as f64) < recipe.reading_questions * steps as f64;
        let phase = if reading { Phase::Reading } else { Phase::Everything };
        let batch = encoder.batch(&stream.questions(recipe.batch, phase), &device)?;
        let loss = model.forward(&batch, &base, false).mean().mean();
        let now = loss.clone().into_scalar();
        let gradients = GradientsParams::from_grads(loss.backward(), &model.net);
        model.net = optimiser.step(recipe.answering.rate(step), model.net.clone(), gradients);
        if (step + 1) % recipe.report_every == 0 || step + 1 == steps {
            report(step + 1, now, model.net.valid())?;
        }
    }
    Ok(())
}
