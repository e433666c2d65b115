//! How good a model is on the test examples of a task.

use super::{ExchangedImages, Pairs, Task};
use crate::Error;
use mars_calib::native::{Evaluation, evaluate};
use mars_lora::{Adapter, AdapterStack, Examples, Model};
use mars_vlm::model::EncodedExamples;
use serde::{Deserialize, Serialize};

/// Most test examples that are scored once more, with the images of others.
const EXCHANGED: usize = 256;

/// The quality of a model on a set of samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// Mean cross-entropy per answer token, nats.
    pub loss: f64,
    /// exp(loss).
    pub perplexity: f64,
    /// Part of the samples whose answer greedy decoding gives exactly, in [0, 1].
    pub accuracy: f64,
}

impl Score {
    fn of(evaluation: &Evaluation) -> Self {
        Self { loss: evaluation.loss(), perplexity: evaluation.perplexity(), accuracy: evaluation.accuracy() }
    }
}

/// Makes of test examples some with the images of others; `None` where it is not known how, or there are no others.
pub(super) type Exchange<E> = fn(&E) -> Result<Option<(Pairs, E)>, Error>;

/// The same of encoded samples.
pub(super) fn exchange(test: &EncodedExamples) -> Result<Option<(Pairs, EncodedExamples)>, Error> {
    let (pairs, examples) = Pairs::of(test.samples()).at_most(EXCHANGED).encoded(test)?;
    Ok((!pairs.rows.is_empty()).then_some((pairs, examples)))
}

impl<M, E> Task<M, E>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    /// The base model, with an adapter or without, on the test examples, `batch` of them at a time.
    ///
    /// # Errors
    /// When the adapter does not fit the model, or an example cannot be read any more.
    pub fn score(&self, adapter: Option<&Adapter>, batch: usize) -> Result<Score, Error> {
        Ok(Score::of(&self.evaluation(&self.test, adapter, batch)?))
    }

    /// The base model with an adapter on the test examples, and on some of them with the images of others.
    pub(crate) fn score_and_exchange(
        &self,
        adapter: &Adapter,
        batch: usize,
    ) -> Result<(Score, Option<ExchangedImages>), Error> {
        let own = self.evaluation(&self.test, Some(adapter), batch)?;
        let exchanged = match (self.exchange)(&self.test)? {
            Some((pairs, examples)) => {
                ExchangedImages::of(&own, &pairs, &self.evaluation(&examples, Some(adapter), batch)?)
            }
            None => None,
        };
        Ok((Score::of(&own), exchanged))
    }

    fn evaluation(&self, examples: &E, adapter: Option<&Adapter>, batch: usize) -> Result<Evaluation, Error> {
        let stack = match adapter {
            Some(adapter) => AdapterStack::new(std::slice::from_ref(adapter), &self.model)?,
            None => AdapterStack::base(1, &self.model),
        };
        let rows: Vec<usize> = (0..examples.len()).collect();
        let mut all = evaluate(&self.model, examples, &rows, batch, &stack)?;
        all.pop().ok_or_else(|| Error::failed("the evaluation returned no score"))
    }
}
