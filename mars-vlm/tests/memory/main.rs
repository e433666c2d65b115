//! Ways to train with less memory, against the plain way, on the tiny checkpoints of every family.
#![cfg(feature = "model")]
#![allow(clippy::unwrap_used)]

mod checkpointing;
mod half;
mod kit;
