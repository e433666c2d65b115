//! Laws that the adapters of a stack and the methods that move ranks obey. One binary, since each links burn.
#![allow(clippy::unwrap_used)]

mod adalora;
mod alone;
mod differential;
mod dora;
mod files;
mod function;
mod hydra;
mod net;
mod ops;
mod passes;
mod planted;
mod quantised;
mod stacking;
mod toy;
mod variants;
