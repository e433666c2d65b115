//! Losses of adapters on a whole split, without gradients.

use super::loading::Loading;
use crate::{BlockPoint, CurvePoint, RunRecord};
use mars_lora::{AdapterStack, Error, Examples, Model, Parts};
use std::ops::Range;

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

/// Parts of an evaluation batch that are computed side by side: as many as a batch is divided into.
const PARTS: usize = 2;

/// Scores of each adapter of `stack` on the examples `rows`, `batch` at a time; the next batch is prepared on a thread of
/// its own, and on the CPU the halves of a batch are computed side by side.
/// `rows` are indices of `examples`, the same for each adapter; returns one evaluation for each of the K
/// adapters. `batch` is in samples, at least 1. Results do not depend on the number of threads.
///
/// # Errors
/// When an example cannot be read, [`Error::Batch`] if `rows` is empty, or [`Error::Threads`] if the system gives no more threads.
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
    let parts = Parts::new(PARTS.min(rayon::current_num_threads()))?.on(&model.device());
    let passes = Passes { model, parts: &parts, loading: Loading::default(), batch };
    // Nothing stops it.
    Ok(passes.evaluate(examples, rows, stack, &|| false)?.unwrap_or_default())
}

/// The parts of a batch, each with its adapters.
type Shares<B> = Vec<(Range<usize>, B)>;

/// How the passes of an evaluation are made.
pub(super) struct Passes<'a, M> {
    pub(super) model: &'a M,
    pub(super) parts: &'a Parts,
    pub(super) loading: Loading,
    /// Samples of one batch, at least 1.
    pub(super) batch: usize,
}

impl<M: Model> Passes<'_, M> {
    /// As [`evaluate`]; `None` if `stop`, which is asked before each batch, said so.
    pub(super) fn evaluate<E>(
        &self,
        examples: &E,
        rows: &[usize],
        stack: &AdapterStack,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Vec<Evaluation>>, Error>
    where
        E: Examples<Batch = M::Batch>,
    {
        if rows.is_empty() {
            return Err(Error::Batch("there is no sample to evaluate on".to_string()));
        }
        let size = self.batch.max(1);
        let input = |number: usize| -> Result<Shares<M::Batch>, Error> {
            let own = &rows[number * size..rows.len().min((number + 1) * size)];
            let shares = self.parts.shares(&vec![own.to_vec(); stack.len()]).into_iter();
            let (adapters, rows): (Vec<_>, Vec<_>) = shares.map(|share| (share.adapters, share.rows)).unzip();
            let batches = examples.batches(&rows, &self.model.device())?;
            Ok(adapters.into_iter().zip(batches).collect())
        };
        let mut all = vec![Evaluation::default(); stack.len()];
        let whole = self.loading.run(rows.len().div_ceil(size), input, |inputs| -> Result<bool, Error> {
            for input in inputs {
                if stop() {
                    return Ok(false);
                }
                self.score(input?, stack, &mut all);
            }
            Ok(true)
        })?;
        Ok(whole.then_some(all))
    }

    /// Adds the scores of the parts of a batch to those of the samples before it.
    fn score(&self, batches: Shares<M::Batch>, stack: &AdapterStack, all: &mut [Evaluation]) {
        let ranks = stack.ranks();
        let work: Vec<_> = batches
            .iter()
            .map(|(own, batch)| (own.clone(), self.model.flops(batch, &ranks[own.clone()])))
            .collect();
        let results = self.parts.forward(self.model, batches, stack, true);
        for ((adapters, flops), result) in work.into_iter().zip(results) {
            let width = result.losses.dims()[1];
            let losses: Vec<f32> = result.losses.into_data().iter::<f32>().collect();
            let correct: Vec<f32> =
                result.correct.map(|c| c.into_data().iter::<f32>().collect()).unwrap_or_default();
            for (k, (evaluation, flops)) in all[adapters].iter_mut().zip(flops).enumerate() {
                evaluation.flops += flops.forward;
                let mut at = k * width;
                for tokens in &result.tokens[k] {
                    let span = at..at + tokens;
                    let sum: f64 = losses[span.clone()].iter().map(|l| f64::from(*l)).sum();
                    let correct = correct.get(span.clone()).is_some_and(|c| c.iter().all(|hit| *hit > 0.5));
                    evaluation.samples.push(SampleScore {
                        loss: sum / *tokens as f64,
                        tokens: *tokens,
                        correct,
                    });
                    at = span.end;
                }
            }
        }
    }
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
