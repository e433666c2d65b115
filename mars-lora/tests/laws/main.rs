//! Laws that the adapters of a stack obey.
#![allow(clippy::unwrap_used)]

mod differential;
mod files;
mod ops;
mod passes;
mod stacking;
mod toy;
mod variants;
