//! A token by which a search is stopped from outside.

use crate::Error;
use mars_calib::Flow;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// A request to stop: clones share it, so a signal handler or another thread can hold one.
///
/// A search that finds it set writes its checkpoints and returns an error of kind
/// [`Interrupted`](crate::ErrorKind::Interrupted); the same call continues later.
#[derive(Clone, Debug, Default)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// A token that is not set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the stop. Returns whether it had been asked for before.
    pub fn request(&self) -> bool {
        self.0.swap(true, Ordering::SeqCst)
    }

    /// Whether the stop was asked for.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    /// What a trainer is told.
    pub(crate) fn flow(&self) -> Flow {
        if self.requested() { Flow::Stop } else { Flow::Continue }
    }

    /// An error once the stop was asked for.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.requested() { Err(Error::interrupted()) } else { Ok(()) }
    }
}
