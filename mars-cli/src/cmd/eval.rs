//! `mars eval`: loss, perplexity and accuracy of a model on data.

use crate::{
    args::{self, Task},
    cmd::{Context, adapter::KnownNames},
    config::Config,
    console::Console,
    failure::Exit,
    hub, output,
    workshop::{self, Files},
};
use anyhow::Result;
use mars_calib::native::{Evaluation, evaluate};
use mars_lora::{AdapterStack, Examples, peft};
use mars_vlm::{
    data::{Dataset, ImageStore},
    hub::Need,
    model::{AnyModel, EncodedExamples},
};
use serde::Serialize;
use std::{path::PathBuf, sync::Arc};

/// What `mars eval --json` prints.
#[derive(Debug, Serialize)]
struct Measured {
    loss: f64,
    perplexity: f64,
    tokens: usize,
    samples: usize,
    accuracy: f64,
    per_sample: Vec<PerSample>,
}

#[derive(Debug, Serialize)]
struct PerSample {
    id: String,
    loss: f64,
    tokens: usize,
}

pub(crate) fn run(context: &Context, args: &args::Eval) -> Result<Exit> {
    let task = Task { model: args.model.clone(), device: args.device.clone(), ..Task::default() };
    let config = context.config(&task, &[])?;
    let device = workshop::device(&config.run.device)?;
    let (model, data, images) = places(&config, args, context.console)?;
    let processor = Arc::new(config.processor(&model)?);
    let net = AnyModel::load(&model, config.model.dtype, &device)?;
    let stack = match &args.adapter {
        Some(directory) => {
            AdapterStack::new(&[peft::read(directory, &KnownNames::of(&model)?.base(&net))?], &net)?
        }
        None => AdapterStack::base(1, &net),
    };
    let store = Arc::new(ImageStore::for_data(&data, images.as_deref())?);
    let samples = Dataset::read_with(&data, &config.reading()?)?.samples;
    let examples = EncodedExamples::new(processor, store, samples)?;
    let mut all = Evaluation::default();
    let rows: Vec<usize> = (0..examples.len()).collect();
    let stage = context.console.stage("evaluating", "samples", rows.len() as u64);
    for part in rows.chunks(config.run.eval_batch) {
        for one in evaluate(&net, &examples, part, part.len(), &stack)? {
            all.samples.extend(one.samples);
        }
        stage.at(all.samples.len() as u64, "");
    }
    stage.finish();
    let measured = Measured {
        loss: all.loss(),
        perplexity: all.perplexity(),
        tokens: all.tokens(),
        samples: all.samples.len(),
        accuracy: all.accuracy(),
        per_sample: all
            .samples
            .iter()
            .enumerate()
            .map(|(index, one)| PerSample { id: examples.id(index), loss: one.loss, tokens: one.tokens })
            .collect(),
    };
    if context.common.json {
        output::json(&measured)?;
    } else {
        let Measured { loss, perplexity, tokens, samples, accuracy, .. } = measured;
        output::text(format!(
            "loss {loss:.5}, perplexity {perplexity:.4}, accuracy {:.1} %; {samples} samples, {tokens} answer tokens",
            100.0 * accuracy
        ))?;
    }
    Ok(Exit::Done)
}

/// Model, data and images; the embedded ones, unpacked, where none are given.
fn places(
    config: &Config,
    args: &args::Eval,
    console: Console,
) -> Result<(PathBuf, PathBuf, Option<PathBuf>)> {
    if let (Some(model), Some(data)) = (&args.model, &args.data) {
        let model = hub::folder(model, Need::Weights, console)?;
        return Ok((model, data.clone(), args.images.clone()));
    }
    let files = Files::of(config, console)?;
    Ok(match &args.data {
        Some(data) => (files.model, data.clone(), args.images.clone()),
        None => (files.model, files.test.unwrap_or_default(), files.images),
    })
}
