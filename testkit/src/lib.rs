//! Toy models and planted tasks for the tests of the workspace.
//!
//! - [`planted`]: tasks whose convergence laws and losses are known, as an answer to any trial of a policy, in
//!   microseconds. A policy that works finds what was planted.
//! - `toy` (feature `burn`): a model of two adapted layers with its examples, which trains in milliseconds.
//! - `suite` (feature `suite`): the recorded runs of the comparison suite.
//!
//! All are pure: the same trial, or the same generator, gives the same numbers.
//!
//! Packages name this crate by its path and without a version among their development dependencies, so that `cargo
//! package` leaves it out.

pub mod planted;
#[cfg(feature = "suite")]
pub mod suite;
#[cfg(feature = "burn")]
pub mod toy;
