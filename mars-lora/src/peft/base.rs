//! The modules of the base model that an adapter belongs to.

use super::Naming;
use crate::stored::Shards;
use crate::{AdaptedModule, Site};

/// A base model by its names.
#[derive(Clone, Copy, Debug)]
pub struct Base<'a> {
    /// The parts with ranks of their own.
    pub modules: &'a [AdaptedModule],
    /// The layers that can be adapted.
    pub sites: &'a [Site],
    /// Other names of the same modules; default none.
    pub namings: &'a [Naming],
    /// Paths of further modules, which no target pattern may select; default none. Parents of sites need not
    /// be listed.
    pub others: &'a [String],
    /// Its weight files, with which copies in an adapter are compared; default not known.
    pub weights: Option<&'a Shards>,
}

impl<'a> Base<'a> {
    /// A base without other names.
    pub fn new(modules: &'a [AdaptedModule], sites: &'a [Site]) -> Self {
        Self { modules, sites, namings: &[], others: &[], weights: None }
    }

    /// The base that `model` is.
    #[cfg(feature = "burn")]
    pub fn of<M: crate::Model>(model: &'a M) -> Self {
        Self::new(model.modules(), model.sites())
    }

    /// The same with the other names of its modules.
    #[must_use]
    pub fn with_namings(self, namings: &'a [Naming]) -> Self {
        Self { namings, ..self }
    }

    /// The same with the paths of further modules.
    #[must_use]
    pub fn with_others(self, others: &'a [String]) -> Self {
        Self { others, ..self }
    }

    /// The same with its weight files, so that copies of them in an adapter can be told from trained values.
    #[must_use]
    pub fn with_weights(self, weights: &'a Shards) -> Self {
        Self { weights: Some(weights), ..self }
    }
}
