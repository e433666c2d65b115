//! What the steps of a stack train on while its cohort stays the same.

use crate::order::Order;
use mars_lora::{Error, Examples, Model, Parts, Share};
use std::ops::Range;

/// The runs of a stack as their batches need them.
pub(super) struct Steps<'a, M, E> {
    pub(super) model: &'a M,
    pub(super) examples: &'a E,
    pub(super) parts: &'a Parts,
    /// Order and batch size of each run.
    pub(super) runs: Vec<(Order, usize)>,
}

/// The input of one step.
pub(super) struct StepInput<B> {
    /// The examples of each run.
    pub(super) rows: Vec<Vec<usize>>,
    /// The batches of its parts, each with its adapters.
    pub(super) batches: Vec<(Range<usize>, B)>,
}

impl<M, E> Steps<'_, M, E>
where
    M: Model,
    E: Examples<Batch = M::Batch>,
{
    /// The input of optimizer step `step`, counted from 0.
    pub(super) fn input(&self, step: usize) -> Result<StepInput<M::Batch>, Error> {
        let rows: Vec<Vec<usize>> = self.runs.iter().map(|(order, size)| order.batch(step, *size)).collect();
        let shares = self.parts.shares(&rows).into_iter();
        let (adapters, parts): (Vec<_>, Vec<_>) =
            shares.map(|Share { adapters, rows }| (adapters, rows)).unzip();
        let batches = self.examples.batches(&parts, &self.model.device())?;
        Ok(StepInput { rows, batches: adapters.into_iter().zip(batches).collect() })
    }

    /// The runs whose own examples of optimizer step `step` cannot be read, by their places, with the reasons.
    pub(super) fn unreadable(&self, step: usize) -> Vec<(usize, Error)> {
        let device = self.model.device();
        let own =
            self.runs.iter().map(|(order, size)| self.examples.batch(&[order.batch(step, *size)], &device));
        own.enumerate().filter_map(|(k, batch)| Some((k, batch.err()?))).collect()
    }
}
