//! Laws of the trainer on burn, on a toy model.
#![cfg(feature = "native")]
#![allow(clippy::unwrap_used)]

mod loading;
mod methods;
mod runs;
mod toy;
mod variants;
