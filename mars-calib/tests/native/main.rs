//! Laws of the trainer on burn, on a toy model.
#![cfg(feature = "native")]
#![allow(clippy::unwrap_used)]

#[path = "../shared/full_disk.rs"]
mod full_disk;
mod loading;
mod methods;
mod runs;
mod toy;
mod variants;
