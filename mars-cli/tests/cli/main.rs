//! The command `mars` as a user meets it: results, exit codes, messages, stopping and going on.
#![allow(clippy::unwrap_used)]

mod adapters;
mod arithmetic;
mod bad_input;
mod chat;
mod claims;
mod cluster;
mod data;
mod devices;
mod escapes;
mod families;
mod fit;
mod going_on;
mod hub;
mod kit;
mod limits;
mod listed;
mod malformed;
mod orphans;
mod probe;
mod reliability;
mod replays;
mod resolution;
mod search;
mod settings;
mod share;
mod signal;
mod stop;
mod trainer;
mod unusable;
mod unused_settings;
mod wrong_folders;
