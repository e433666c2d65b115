//! Toy models and planted tasks for the tests of the workspace.
//!
//! - [`planted`]: tasks whose convergence laws and losses are known, as an answer to any trial of a policy, in
//!   microseconds. A policy that works finds what was planted.
//! - `toy` (feature `burn`): a model of two adapted layers with its examples, which trains in milliseconds.
//! - `device` (feature `burn`): the device on which tests compute, a GPU where a variable says so.
//! - `suite` (feature `suite`): the recorded runs of the comparison suite.
//!
//! All are pure: the same trial, or the same generator, gives the same numbers.
//!
//! ```
//! use mars_search::PolicySpec;
//! use mars_testkit::planted::{Task, budget, space};
//!
//! // A higher rank of the language model lowers the loss, that of the vision encoder makes no difference.
//! let task = Task::new(|ranks, _samples| 1.0 + 1.0 / ranks.get("llm") as f64);
//! let mut policy = "grid".parse::<PolicySpec>()?.build(&space(), &budget())?;
//! let trial = &policy.ask()[0];
//! let result = task.train(trial, 0, budget().batch);
//! assert!(result.kept_loss() < Some(5.0));
//! policy.tell(&[result])?;
//! # Ok::<(), mars_search::Error>(())
//! ```
//!
//! Packages name this crate by its path and without a version among their development dependencies, so that `cargo
//! package` leaves it out.

#[cfg(feature = "burn")]
pub mod device;
pub mod planted;
#[cfg(feature = "suite")]
pub mod suite;
#[cfg(feature = "burn")]
pub mod toy;
