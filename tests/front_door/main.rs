//! The front door with trainers that take milliseconds: what a search leaves, goes on from and refuses; what an evaluation reports.
#![allow(clippy::unwrap_used)]

mod delivering;
mod evaluating;
mod exchanging;
mod kept;
mod kit;
mod opened;
mod search;
