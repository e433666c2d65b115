//! The front door with trainers that take milliseconds: what a search leaves, goes on from and refuses.
#![allow(clippy::unwrap_used)]

mod campaign;
mod kit;
mod search;
