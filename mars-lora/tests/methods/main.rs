//! Laws that the adaptive-rank methods obey.
#![allow(clippy::unwrap_used)]

mod adalora;
mod function;
mod hydra;
mod net;
mod planted;
