//! Adapters on disk: what is written is read back, what PEFT wrote is understood, merging is adding.
#![allow(clippy::unwrap_used)]

mod families;
mod kit;
mod merging;
mod peft_fixtures;
mod placing;
mod refusals;
mod whole;
mod writing;
