//! The command `mars` as a user meets it: results, exit codes, messages, stopping and going on.
#![allow(clippy::unwrap_used)]

mod adapters;
mod bad_input;
mod data;
mod escapes;
mod families;
mod fit;
mod hub;
mod kit;
mod malformed;
mod search;
mod settings;
mod stop;
mod trainer;
mod unusable;
