//! Models on burn against `transformers` and against themselves, on the tiny checkpoints of every family.
#![cfg(feature = "model")]
#![allow(clippy::unwrap_used)]

mod adapters;
mod alone;
mod architectures;
mod checkpointing;
mod estimates;
mod features;
mod fingerprints;
mod gemma3;
mod half;
mod idefics3;
mod internvl;
mod kit;
mod merged;
mod nulls;
mod operations;
mod packed;
mod parity;
mod quantised;
mod ties;
mod transformers5;
mod twice;
