//! Ctrl-C: the first asks for a checkpoint and an end, the second ends at once.

use crate::failure::Exit;
use anyhow::{Context, Result};
use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Whether the user wants to stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// Listens to Ctrl-C (and to a polite request to terminate) from now on.
    pub(crate) fn listen() -> Result<Self> {
        let interrupt = Self::default();
        let asked = interrupt.clone();
        ctrlc::set_handler(move || {
            if asked.0.swap(true, Ordering::SeqCst) {
                std::process::exit(Exit::Interrupted as i32);
            }
            // Nobody is left to tell if this fails.
            let _ = writeln!(std::io::stderr(), "\nstopping after a checkpoint; once more to stop at once");
        })
        .context("cannot listen to Ctrl-C")?;
        Ok(interrupt)
    }

    /// Whether the user asked to stop.
    pub(crate) fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
