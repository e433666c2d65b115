//! A pass over a batch in parts: losses, and gradients in training, the parts at the same time on threads of their own.
//!
//! Products use all threads of the machine, but what stands between them uses one. Parts are independent until
//! their gradients are added, so they leave no thread idle.

use super::chain;
use super::lanes::{IdleThreads, Lanes};
use crate::stack::gradients::FactorGradients;
use crate::stack::host::host;
use crate::{AdapterStack, Error, Model, TokenLosses, ops};
use burn::tensor::{Device, Tensor, TensorData};
use std::ops::Range;

/// What a training pass found.
#[derive(Clone, Debug)]
pub struct Pass {
    /// Mean cross-entropy per answer token of each adapter, nats.
    pub losses: Vec<f64>,
    /// Gradients of these means, `[K, P]` as from [`AdapterStack::gradients`].
    pub gradients: Tensor<2>,
    /// Answer tokens of each adapter.
    pub tokens: Vec<usize>,
}

/// What one part of a pass computes: some examples of neighbouring adapters of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The adapters.
    pub adapters: Range<usize>,
    /// Examples of each of them, equally many.
    pub rows: Vec<Vec<usize>>,
}

/// Halves of a batch: enough for two threads where there is one adapter, and too few to make products small.
const HALVES: usize = 2;
/// A GPU is never idle for want of threads, and is faster the larger the products are.
const WHOLE: usize = 1;

/// Threads for the parts of passes over batches.
#[derive(Debug)]
pub struct Parts {
    lanes: Lanes,
    recompute: bool,
    /// How many parts the examples of an adapter are divided into.
    division: usize,
}

impl Parts {
    /// `count` parts (at least 1) at the same time, which share the threads that the caller's products would use.
    ///
    /// Each part gets `max(1, threads / count)` of the threads of the pool that this is called in.
    ///
    /// # Errors
    /// [`Error::Threads`] if the system gives no more threads.
    pub fn new(count: usize) -> Result<Self, Error> {
        Ok(Self { lanes: Lanes::new(count)?, recompute: false, division: HALVES })
    }

    /// The same, keeping less: models that offer a [`Chain`](crate::Chain) compute each block a second time.
    /// Default `false`. `true` costs about one more forward pass and saves the inner values of all blocks but
    /// one; gradients are the same up to rounding.
    #[must_use]
    pub fn recomputing(mut self, recompute: bool) -> Self {
        self.recompute = recompute;
        self
    }

    /// The same with the use of threads that others leave idle, for more parts at the same time.
    #[must_use]
    pub fn with_idle(mut self, idle: IdleThreads) -> Self {
        self.lanes.idle = idle;
        self
    }

    /// The same for passes on `device`: on a GPU one part, of the whole batch.
    #[must_use]
    pub fn on(self, device: &Device) -> Self {
        match ops::on_cpu(device) {
            true => self,
            false => Self { lanes: Lanes::default(), division: WHOLE, ..self },
        }
    }

    /// Shares of a batch: `rows[k]` are the examples of adapter k, equally many for each.
    ///
    /// How the examples of an adapter are divided follows from their number alone: into two halves, the first of
    /// `ceil(examples / 2)`; not at all on a GPU. Neighbouring adapters are in one share where their examples are the same, since a batch is as long
    /// as its longest example. So what a share computes for an adapter has the same bits, whatever the number of parts and
    /// the other adapters of the stack. There are as many shares as parts, if there are so many halves of adapters, and none is larger than
    /// an equal part of the whole.
    pub fn shares(&self, rows: &[Vec<usize>]) -> Vec<Share> {
        let examples = rows.first().map_or(0, Vec::len);
        let half = examples.div_ceil(self.division).max(1);
        let cohorts: Vec<&[Vec<usize>]> = rows.chunk_by(|a, b| a == b).collect();
        let halves = examples.div_ceil(half).max(1);
        let chunks = self.lanes.len().div_ceil((cohorts.len() * halves).max(1));
        let most = (rows.len() * halves).div_ceil(self.lanes.len()).max(1);
        let (mut shares, mut first) = (Vec::new(), 0);
        for cohort in cohorts {
            for own in cohort.chunks(cohort.len().div_ceil(chunks).min(most)) {
                let adapters = first..first + own.len();
                first = adapters.end;
                let of = |start: usize| Share {
                    adapters: adapters.clone(),
                    rows: own.iter().map(|own| own[start..(start + half).min(examples)].to_vec()).collect(),
                };
                shares.extend((0..examples.max(1)).step_by(half).map(of));
            }
        }
        shares
    }

    /// Losses and gradients of all adapters of `stack`. `batches` belong to the [`shares`](Self::shares) of a batch,
    /// each with its adapters; the result is that of the whole batch up to rounding, and to the bit the same for every number
    /// of parts and every stack that an adapter is in.
    ///
    /// `draws[k]` decides what adapter k drops, as in [`AdapterStack::dropping`]; `None` is a pass without dropout.
    /// Examples that are shared out differently are dropped differently.
    /// Losses and gradients are sums over answer tokens, added in the order of the parts and divided by the
    /// tokens of each adapter at the end, so that an example weighs by its answer tokens as in an undivided
    /// batch.
    ///
    /// # Errors
    /// [`Error::Batch`] if the batches are not of all adapters.
    pub fn pass<M: Model>(
        &self,
        model: &M,
        batches: Vec<(Range<usize>, M::Batch)>,
        stack: &AdapterStack,
        draws: Option<&[u64]>,
    ) -> Result<Pass, Error> {
        let mut known: Vec<Range<usize>> = Vec::new();
        let mut part = |(adapters, batch): (Range<usize>, M::Batch)| {
            let before = known.iter().filter(|earlier| **earlier == adapters).count() as u64;
            known.push(adapters.clone());
            Part { before, adapters, batch }
        };
        let parts = batches.into_iter().map(&mut part).collect();
        let weight = |part: &Part<M::Batch>| part.adapters.len();
        let sums = self.lanes.side_by_side(parts, weight, |Part { before, adapters, batch }| {
            let own: Option<Vec<u64>> = draws.map(|draws| {
                // Other draws for each part of the same adapters, and those of an undivided pass for the first.
                let other = |draw: &u64| draw.wrapping_add(before.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                draws[adapters.clone()].iter().map(other).collect()
            });
            Sums::of(model, adapters, &batch, stack, own, self.recompute)
        });
        total(sums.into_iter(), stack)
    }

    /// Losses of the adapters of `stack` without gradients, those of each batch in order; `score` as in [`Model::forward`].
    /// `batches` belong to the [`shares`](Self::shares) of a batch, each with its adapters.
    pub fn forward<M: Model>(
        &self,
        model: &M,
        batches: Vec<(Range<usize>, M::Batch)>,
        stack: &AdapterStack,
        score: bool,
    ) -> Vec<TokenLosses> {
        let weight = |(adapters, _): &(Range<usize>, M::Batch)| adapters.len();
        self.lanes.side_by_side(batches, weight, |(adapters, batch)| {
            model.forward(&batch, &of(stack, &adapters), score)
        })
    }
}

/// One part that waits for its thread.
struct Part<B> {
    /// Parts of the same adapters before it.
    before: u64,
    adapters: Range<usize>,
    batch: B,
}

/// The adapters of a part.
fn of(stack: &AdapterStack, adapters: &Range<usize>) -> AdapterStack {
    match adapters.len() == stack.len() {
        true => stack.clone(),
        false => stack.keep(&adapters.clone().collect::<Vec<_>>()),
    }
}

/// Sums over the answer tokens of one part.
struct Sums {
    adapters: Range<usize>,
    losses: Vec<f64>,
    tokens: Vec<usize>,
    /// `[adapters, P]`.
    gradients: Tensor<2>,
}

impl Sums {
    fn of<M: Model>(
        model: &M,
        adapters: Range<usize>,
        batch: &M::Batch,
        stack: &AdapterStack,
        draws: Option<Vec<u64>>,
        recompute: bool,
    ) -> Self {
        let part = of(stack, &adapters);
        let drop = |stack: AdapterStack| match &draws {
            Some(draws) => stack.dropping(draws.clone()),
            None => stack,
        };
        let tracked = drop(part.tracked());
        let chain = if recompute { model.chain(batch, &tracked) } else { None };
        let (TokenLosses { losses, weights, tokens, .. }, gradients) = match chain {
            Some(chain) => chain::backward(&*chain, &drop(part), &tracked),
            None => {
                let result = model.forward(batch, &tracked, false);
                let loss = (result.losses.clone() * result.weights.clone()).sum();
                let mut gradients = FactorGradients::default();
                // Samples without images read no layer of an image encoder.
                if loss.is_autodiff() && loss.is_tracked() {
                    gradients.take(&tracked, &mut loss.backward());
                }
                (result, gradients)
            }
        };
        let losses = host((losses.without_autodiff() * weights.without_autodiff()).sum_dim(1));
        Self {
            adapters,
            losses: losses.into_iter().map(f64::from).collect(),
            tokens: tokens.iter().map(|own| own.iter().sum()).collect(),
            gradients: gradients.into_rows(&tracked),
        }
    }
}

/// Adds parts in their order and divides by the tokens of each adapter.
fn total(parts: impl Iterator<Item = Sums>, stack: &AdapterStack) -> Result<Pass, Error> {
    let mut groups: Vec<Sums> = Vec::new();
    for part in parts {
        match groups.iter_mut().find(|group| group.adapters == part.adapters) {
            Some(group) => {
                group.losses.iter_mut().zip(part.losses).for_each(|(sum, own)| *sum += own);
                group.tokens.iter_mut().zip(part.tokens).for_each(|(sum, own)| *sum += own);
                group.gradients = group.gradients.clone() + part.gradients;
            }
            None => groups.push(part),
        }
    }
    groups.sort_by_key(|group| group.adapters.start);
    let (mut losses, mut tokens, mut gradients) = (Vec::new(), Vec::new(), Vec::new());
    for group in groups {
        if group.adapters.start != losses.len() {
            let why = format!("a part of the batch is of adapters {:?}", group.adapters);
            return Err(Error::Batch(format!("{why}, expected one from {} on", losses.len())));
        }
        losses.extend(group.losses);
        tokens.extend(group.tokens);
        gradients.push(group.gradients);
    }
    if losses.len() != stack.len() {
        let why = format!("the batch is of {} adapters, the stack of {}", losses.len(), stack.len());
        return Err(Error::Batch(why));
    }
    let counts: Vec<f32> = tokens.iter().map(|count| *count as f32).collect();
    let counts = Tensor::from_data(TensorData::new(counts, [stack.len(), 1]), &stack.flat().device());
    let means = losses.iter().zip(&tokens).map(|(sum, count)| sum / *count as f64);
    Ok(Pass { losses: means.collect(), gradients: Tensor::cat(gradients, 0) / counts, tokens })
}
