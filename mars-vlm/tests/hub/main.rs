//! Models named by id: what the local cache holds, and what a server sends into it.
#![allow(clippy::unwrap_used)]

mod cache;
#[cfg(feature = "download")]
mod download;
#[cfg(feature = "download")]
mod server;
