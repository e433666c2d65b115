//! Laws that the adapters of a stack obey.
#![allow(clippy::unwrap_used)]

mod files;
mod stacking;
mod toy;
mod variants;
