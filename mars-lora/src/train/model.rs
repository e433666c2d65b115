//! What a model must offer to be fine-tuned and searched.

use super::chain::Chain;
use super::losses::{PassFlops, TokenLosses};
use crate::{AdaptedModule, AdapterStack, Error, Site};
use burn::tensor::{Device, Tensor};

/// A frozen model with sites for adapters.
pub trait Model: Sync {
    /// A stacked batch: the samples of K adapters, adapter by adapter.
    type Batch: Send;

    /// The parts that can have ranks of their own.
    fn modules(&self) -> &[AdaptedModule];

    /// The layers that can be adapted, in the order of their indices.
    fn sites(&self) -> &[Site];

    /// The frozen weight of a site, `[inputs, outputs]`; DoRA, PiSSA and merging need it. Default unknown.
    /// `site` is an index of [`sites`](Self::sites).
    fn weight(&self, _site: usize) -> Option<Tensor<2>> {
        None
    }

    /// Where the frozen weights are; without autodiff.
    fn device(&self) -> Device;

    /// Losses of the answer tokens. Tracked for a backward pass if the factors of `adapters` are.
    /// `score` asks for [`TokenLosses::correct`] as well.
    fn forward(&self, batch: &Self::Batch, adapters: &AdapterStack, score: bool) -> TokenLosses;

    /// The forward pass of `adapters` (or others of the same sites) over `batch` as a chain of blocks, so that a
    /// training pass need keep only what goes from one block to the next. Default `None`: it keeps everything.
    fn chain<'a>(&'a self, batch: &'a Self::Batch, adapters: &AdapterStack) -> Option<Box<dyn Chain + 'a>> {
        let _ = (batch, adapters);
        None
    }

    /// Operations of one pass of each adapter over its part of `batch`; `ranks[site]` are its ranks.
    /// One entry for each of the K adapters, in FLOPs (a multiplication and an addition are 2). The base's
    /// share is what the adapter alone would cost, without savings of the stack.
    fn flops(&self, batch: &Self::Batch, ranks: &[Vec<usize>]) -> Vec<PassFlops>;
}

/// A list of examples that makes batches for a model.
pub trait Examples: Sync {
    /// The batch that the model takes.
    type Batch: Send;

    /// Number of examples.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of one example in the user's data; by default its number.
    fn id(&self, index: usize) -> String {
        index.to_string()
    }

    /// One batch for K adapters; `rows[k]` are the examples of adapter k, equally many for each.
    /// Samples lie adapter by adapter in the order of `rows`; indices are in `0..len`.
    ///
    /// # Errors
    /// [`Error::Batch`] if an example can no longer be read (its image was deleted, for example).
    fn batch(&self, rows: &[Vec<usize>], device: &Device) -> Result<Self::Batch, Error>;

    /// The batches of one step, one for each of `rows`; what they share need be read only once.
    ///
    /// # Errors
    /// As [`Self::batch`].
    fn batches(&self, rows: &[Vec<Vec<usize>>], device: &Device) -> Result<Vec<Self::Batch>, Error> {
        rows.iter().map(|rows| self.batch(rows, device)).collect()
    }
}
