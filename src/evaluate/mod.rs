//! The loss of a model on a data set, with an adapter or without.
mod verify;

pub use crate::task::ExchangedImages;
pub use verify::{AdapterLosses, Verification, verify};

use crate::{
    Error, SearchConfig, device,
    event::{Event, Observer},
    task::{LeftOut, Names, Pairs, Part, Source, check_given, check_weights, storage, with_arithmetic},
};
use mars_calib::native::{Evaluation, evaluate};
use mars_lora::{AdapterStack, Examples, peft, peft::Base};
use mars_vlm::{
    model::{AnyModel, EncodedExamples},
    processor::Processor,
};
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// A model's loss on a data set.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct DataScore {
    /// Mean cross-entropy per answer token, nats.
    pub loss: f64,
    /// exp(loss).
    pub perplexity: f64,
    /// Answer tokens.
    pub tokens: usize,
    /// Samples.
    pub samples: usize,
    /// Part of the samples whose answer greedy decoding gives exactly, in [0, 1].
    pub accuracy: f64,
    /// Every sample.
    pub per_sample: Vec<SampleLoss>,
    /// The loss with the images of other samples, if it was asked for and there are such.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exchanged_images: Option<ExchangedImages>,
    /// Samples that could not be used and were left out.
    pub left_out: Option<LeftOut>,
}

/// The loss of one sample.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct SampleLoss {
    /// Its name in the data.
    pub id: String,
    /// Mean cross-entropy over its answer tokens, nats.
    pub loss: f64,
    /// Its answer tokens.
    pub tokens: usize,
}

/// Where data and their images are.
#[derive(Clone, Debug)]
pub struct DataFiles {
    /// The data set.
    pub data: PathBuf,
    /// Folder or zip archive of the images; `None`: where the data are.
    pub images: Option<PathBuf>,
}

impl DataFiles {
    /// The samples, without those that the settings leave out.
    fn read(
        &self,
        config: &SearchConfig,
        processor: &Processor,
        observer: &mut dyn Observer,
    ) -> Result<Part, Error> {
        let source = Source { path: self.data.clone(), part: None };
        source.read("data", config, self.images.as_deref(), processor, observer)
    }
}

/// Refuses data and a PEFT adapter that are not there, cannot be read, or are of another kind, before a model is unpacked or loaded
/// for them.
///
/// # Errors
/// As when they are read.
pub fn check_files(
    config: &SearchConfig,
    adapter: Option<&Path>,
    data: Option<&DataFiles>,
) -> Result<(), Error> {
    let images = data.and_then(|data| data.images.as_deref());
    check_given(config, data.map(|data| data.data.as_path()).as_slice(), images, adapter)
}

/// Evaluates the model in the Hugging Face directory `model`, with the PEFT adapter in `adapter` if there is one, on `data`.
/// Of `config` the sections `model`, `data` and `run` count. With `exchange_images` also with the images of other samples,
/// which says whether the answers depend on the images.
///
/// # Errors
/// The first defect of the model, the adapter or the data.
pub fn evaluate_files(
    config: &SearchConfig,
    model: &Path,
    adapter: Option<&Path>,
    data: &DataFiles,
    exchange_images: bool,
    observer: &mut dyn Observer,
) -> Result<DataScore, Error> {
    config.check_reading()?;
    check_files(config, adapter, Some(data))?;
    let device = device::open(&config.run.device, config.model.dtype)?;
    let processor = Arc::new(config.processor(model)?);
    let storage = storage(&with_arithmetic(config, model)?)?;
    check_weights(model, storage)?;
    let net = AnyModel::load(model, storage, &device)?;
    let names = Names::of(model)?;
    names.warn(&processor.template, observer);
    let stack = stack(&net, adapter, &names)?;
    let Part { samples, store, left_out } = data.read(config, &processor, observer)?;
    let examples = EncodedExamples::new(processor, store, samples)?;
    let all = evaluate_all(&net, &examples, &stack, config.run.eval_batch, "evaluating", observer)?;
    let exchanged_images = if exchange_images {
        let (pairs, others) = Pairs::of(examples.samples()).encoded(&examples)?;
        let label = "with images of others";
        let other = evaluate_all(&net, &others, &stack, config.run.eval_batch, label, observer)?;
        ExchangedImages::of(&all, &pairs, &other)
    } else {
        None
    };
    let per_sample = all.samples.iter().enumerate();
    let per_sample =
        per_sample.map(|(at, one)| SampleLoss { id: examples.id(at), loss: one.loss, tokens: one.tokens });
    Ok(DataScore {
        loss: all.loss(),
        perplexity: all.perplexity(),
        tokens: all.tokens(),
        samples: all.samples.len(),
        accuracy: all.accuracy(),
        per_sample: per_sample.collect(),
        exchanged_images,
        left_out,
    })
}

/// The adapter in a directory, or none, on a model.
fn stack(model: &AnyModel, adapter: Option<&Path>, names: &Names) -> Result<AdapterStack, Error> {
    Ok(match adapter {
        Some(directory) => {
            let adapter = peft::read(directory, &names.base(Base::of(model)))?;
            AdapterStack::new(std::slice::from_ref(&adapter), model)?
        }
        None => AdapterStack::base(1, model),
    })
}

/// Batches between two reports: while one is scored, the next is made.
const REPORTED: usize = 4;

/// Scores of all examples, `batch` at a time, reported under `label`.
fn evaluate_all(
    model: &AnyModel,
    examples: &EncodedExamples,
    stack: &AdapterStack,
    batch: usize,
    label: &str,
    observer: &mut dyn Observer,
) -> Result<Evaluation, Error> {
    let mut all = Evaluation::default();
    let rows: Vec<usize> = (0..examples.len()).collect();
    observer.event(&Event::Evaluating { label, done: 0, total: rows.len() });
    for part in rows.chunks(batch.saturating_mul(REPORTED)) {
        let scores = evaluate(model, examples, part, batch, stack)?;
        all.samples.extend(scores.into_iter().flat_map(|one| one.samples));
        observer.event(&Event::Evaluating { label, done: all.samples.len(), total: rows.len() });
    }
    Ok(all)
}
