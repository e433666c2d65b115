//! The command `mars` as a user meets it: results, exit codes, messages, stopping and going on.
#![allow(clippy::unwrap_used)]

mod adapters;
mod bad_input;
mod data;
// Exit codes are those of the program itself.
#[allow(dead_code)]
#[path = "../../src/failure.rs"]
mod failure;
mod families;
mod fit;
mod hub;
mod kit;
mod malformed;
mod search;
mod settings;
mod stop;
