//! Laws of the trainer on burn, on a toy model.
#![cfg(feature = "native")]
#![allow(clippy::unwrap_used)]

mod evaluation;
#[path = "../shared/full_disk.rs"]
mod full_disk;
mod kept;
mod loading;
mod methods;
mod regrouped;
mod runs;
mod starts;
mod stopping;
mod toy;
mod variants;
