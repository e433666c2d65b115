//! Pre-training of a small model, seeded, on a CPU: first the vision encoder tells the class of every image token, then
//! the whole model answers questions, those about reading before the others.
//!
//! Without the first stage the language model ignores the picture for some 400 steps. All settings are ours, found by
//! trial.

pub mod answering;
pub mod encode;
pub mod init;
pub mod reading;
pub mod schedule;
pub mod score;

use std::{io::Write as _, path::Path};

use anyhow::{Context, Result};
use burn::tensor::Device;
use mars_vlm::{
    checkpoint,
    model::{Idefics3, Idefics3Config},
};

use crate::{
    digits::{
        source::Digits,
        stream::{self, PretrainStream},
    },
    stream::{Sample, Stream},
};
use encode::Encoder;
use init::Initialiser;
use schedule::Schedule;

/// All settings of the recipe.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// Of initial weights and of the stream of samples.
    pub seed: u64,
    /// Samples of a step, in both stages.
    pub batch: usize,
    /// Learning rates of the first stage, in which encoder and connector read single digits.
    pub reading: Schedule,
    /// Learning rates of the second stage, in which the whole model answers questions.
    pub answering: Schedule,
    /// Share of the second stage, from its beginning, whose questions only ask for reading.
    pub reading_questions: f64,
    /// AdamW's weight decay.
    pub weight_decay: f32,
    /// Steps between two reports.
    pub report_every: usize,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            seed: 1,
            batch: 64,
            reading: Schedule { steps: 300, warmup: 30, peak: 2e-3, last: 2e-4 },
            answering: Schedule { steps: 1600, warmup: 100, peak: 2e-3, last: 4e-5 },
            reading_questions: 0.3,
            weight_decay: 0.05,
            report_every: 100,
        }
    }
}

/// Trains the embedded model, whose files are in `assets/model`, and writes its `model.safetensors`.
///
/// # Errors
/// Those of [`train`].
pub fn run(assets: &Path, recipe: &Recipe) -> Result<()> {
    let digits = Digits::load()?;
    let validation: Vec<Sample> = stream::validation(&digits).into_iter().map(Sample::from).collect();
    train(&assets.join("model"), &mut PretrainStream::new(&digits, recipe.seed), &validation, recipe)
}

/// Trains the model whose files are in `directory` on `stream` and writes its `model.safetensors`.
///
/// # Errors
/// When a file of the model is missing or wrong, or the weights cannot be written.
pub fn train(
    directory: &Path,
    stream: &mut impl Stream,
    validation: &[Sample],
    recipe: &Recipe,
) -> Result<()> {
    let encoder = Encoder::from_dir(directory)?;
    let config = Idefics3Config::from_dir(directory)?;
    let device = Device::flex();
    let new = |device: &Device| {
        Idefics3::from_source(config.clone(), &mut Initialiser::new(recipe.seed), device)
            .context("building the model")
    };
    let mut model = new(&device.clone().autodiff())?;
    let mut scored = score::Scorer::new(new(&device)?, &encoder, validation)?;

    reading::train(&mut model, &encoder, stream, recipe, |step, loss, accuracy| {
        say(&format!("reading {step}: loss {loss:.3}, accuracy {accuracy:.3} of the last batch"))
    })?;
    answering::train(&mut model, &encoder, stream, recipe, |step, loss, net| {
        say(&format!("answering {step}: loss {loss:.3}, validation {}", scored.score(net)?))
    })?;

    let path = directory.join("model.safetensors");
    checkpoint::save(&path, &checkpoint::export(&model.net, &model.stored), false)?;
    let saved = Idefics3::from_dir(directory, &device)?;
    say(&format!("{} written; read again, validation {}", path.display(), scored.score(saved.net)?))
}

fn say(line: &str) -> Result<()> {
    writeln!(std::io::stderr().lock(), "{line}").context("writing to stderr")
}
