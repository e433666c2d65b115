//! Losses of adapters on a whole split, without gradients.

use super::loading::Loading;
use crate::{BlockPoint, CurvePoint, RunRecord};
use mars_lora::{AdapterStack, Error, Examples, Model};

/// Most blocks of a validation loss in a record: enough for a t statistic, few enough for any ledger.
const BLOCKS: usize = 16;

/// Loss and accuracy of one sample.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleScore {
    /// Mean cross-entropy (natural log) over the sample's answer tokens.
    pub loss: f64,
    /// Answer tokens.
    pub tokens: usize,
    /// Whether every answer token was the most probable one, given those before: greedy
    /// decoding would give exactly this answer.
    pub correct: bool,
}

/// Losses and accuracies of one adapter on a split.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// One score for each sample, in order.
    pub samples: Vec<SampleScore>,
    /// Model FLOPs of the forward passes.
    pub flops: f64,
}

impl Evaluation {
    /// Answer tokens in all.
    pub fn tokens(&self) -> usize {
        self.samples.iter().map(|s| s.tokens).sum()
    }

    /// Mean cross-entropy per answer token, over all tokens alike.
    /// `sum_i loss_i tokens_i / sum_i tokens_i`, nats; NaN without samples.
    pub fn loss(&self) -> f64 {
        self.samples.iter().map(|s| s.loss * s.tokens as f64).sum::<f64>() / self.tokens() as f64
    }

    /// The loss by at most `most` blocks of consecutive samples, each block's sum scaled so that the mean over
    /// the blocks is [`loss`](Self::loss). Samples about one image are neighbours in most data sets, so
    /// that blocks are closer to independent than samples are.
    pub fn blocks(&self, most: usize) -> Vec<f64> {
        let (count, samples) = (most.clamp(1, self.samples.len().max(1)), self.samples.len());
        let scale = count as f64 / self.tokens() as f64;
        let block = |b: usize| {
            let own = &self.samples[b * samples / count..(b + 1) * samples / count];
            scale * own.iter().map(|s| s.loss * s.tokens as f64).sum::<f64>()
        };
        (0..count).map(block).collect()
    }

    /// exp of the loss.
    /// Per answer token, >= 1.
    pub fn perplexity(&self) -> f64 {
        self.loss().exp()
    }

    /// Part of the samples whose answer is right, in [0, 1].
    /// Exact match under teacher forcing; NaN without samples.
    pub fn accuracy(&self) -> f64 {
        self.samples.iter().filter(|s| s.correct).count() as f64 / self.samples.len() as f64
    }
}

/// Scores of each adapter of `stack` on the examples `rows`, `batch` at a time; the next batch is prepared on a thread of
/// its own.
/// `rows` are indices of `examples`, the same for each adapter; returns one evaluation for each of the K
/// adapters. `batch` is in samples, at least 1.
///
/// # Errors
/// When an example cannot be read, or [`Error::Batch`] if `rows` is empty.
pub fn evaluate<M, E>(
    model: &M,
    examples: &E,
    rows: &[usize],
    batch: usize,
    stack: &AdapterStack,
) -> Result<Vec<Evaluation>, Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    evaluate_loading(model, examples, rows, batch, stack, Loading::default())
}

/// [`evaluate`] with batches made as `loading` says.
pub(super) fn evaluate_loading<M, E>(
    model: &M,
    examples: &E,
    rows: &[usize],
    batch: usize,
    stack: &AdapterStack,
    loading: Loading,
) -> Result<Vec<Evaluation>, Error>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    if rows.is_empty() {
        return Err(Error::Batch("there is no sample to evaluate on".to_string()));
    }
    let (size, adapters) = (batch.max(1), stack.len());
    let input = |number: usize| {
        let part = &rows[number * size..rows.len().min((number + 1) * size)];
        examples.batch(&vec![part.to_vec(); adapters], &model.device())
    };
    loading.run(rows.len().div_ceil(size), input, |inputs| score(model, stack, inputs))
}

/// Scores of each adapter of `stack` on all of `inputs`.
fn score<M: Model>(
    model: &M,
    stack: &AdapterStack,
    inputs: &mut dyn Iterator<Item = Result<M::Batch, Error>>,
) -> Result<Vec<Evaluation>, Error> {
    let mut all = vec![Evaluation::default(); stack.len()];
    for input in inputs {
        let input = input?;
        let result = model.forward(&input, stack, true);
        let width = result.losses.dims()[1];
        let losses: Vec<f32> = result.losses.into_data().iter::<f32>().collect();
        let correct: Vec<f32> =
            result.correct.map(|c| c.into_data().iter::<f32>().collect()).unwrap_or_default();
        for (k, (evaluation, flops)) in all.iter_mut().zip(model.flops(&input, stack.ranks())).enumerate() {
            evaluation.flops += flops.forward;
            let mut at = k * width;
            for tokens in &result.tokens[k] {
                let span = at..at + tokens;
                let sum: f64 = losses[span.clone()].iter().map(|l| f64::from(*l)).sum();
                let correct = correct.get(span.clone()).is_some_and(|c| c.iter().all(|hit| *hit > 0.5));
                evaluation.samples.push(SampleScore { loss: sum / *tokens as f64, tokens: *tokens, correct });
                at = span.end;
            }
        }
    }
    Ok(all)
}

/// Writes the validation loss after `step` steps into a record, and returns it.
pub(super) fn record_loss(record: &mut RunRecord, step: usize, evaluation: &Evaluation) -> f64 {
    let loss = evaluation.loss();
    record.val.push(CurvePoint { step, loss });
    record.eval_flops += evaluation.flops;
    if loss.is_finite() {
        let losses = evaluation.blocks(BLOCKS).into_iter().map(|loss| loss as f32).collect();
        record.val_blocks.push(BlockPoint { step, losses });
    }
    loss
}
