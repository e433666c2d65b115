//! Ctrl-C, SIGTERM and SIGHUP: the first asks for a checkpoint and an end, the second ends at once.

use crate::exit::Exit;
use mars::{Error, Interrupt};
use std::io::Write;

/// A token that these signals request from now on.
pub(crate) fn listen() -> Result<Interrupt, Error> {
    let interrupt = Interrupt::new();
    let asked = interrupt.clone();
    ctrlc::set_handler(move || {
        if asked.request() {
            std::process::exit(Exit::Interrupted as i32);
        }
        // If this cannot be written there is no place for a complaint either.
        let _ = writeln!(std::io::stderr(), "\nstopping after a checkpoint; once more to stop at once");
    })
    .map_err(|error| Error::failed("cannot listen to signals").because(error))?;
    Ok(interrupt)
}
