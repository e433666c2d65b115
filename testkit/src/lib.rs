//! Toy models and planted tasks for the tests of the workspace.
//!
//! - [`planted`]: tasks with known convergence laws and losses, which answer any trial of a policy in
//!   microseconds. A working policy finds what was planted.
//! - `toy` (feature `burn`): a model of two adapted layers with its examples, which trains in milliseconds.
//! - `device` (feature `burn`): the device on which tests compute, a GPU if an environment variable says so.
//! - `suite` (feature `suite`): the recorded runs of the comparison suite.
//!
//! All are deterministic: the same trial, or the same generator, gives the same numbers.
//!
//! ```
//! use mars_search::PolicySpec;
//! use mars_testkit::planted::{Task, budget, space};
//!
//! // A higher rank of the language model lowers the loss; the rank of the vision encoder makes no difference.
//! let task = Task::new(|ranks, _samples| 1.0 + 1.0 / ranks.get("llm") as f64);
//! let mut policy = "grid".parse::<PolicySpec>()?.build(&space(), &budget())?;
//! let trial = &policy.ask()[0];
//! let result = task.train(trial, 0, budget().batch);
//! assert!(result.kept_loss() < Some(5.0));
//! policy.tell(&[result])?;
//! # Ok::<(), mars_search::Error>(())
//! ```
//!
//! Packages declare this crate as a dev-dependency by path and without a version, so that `cargo package` leaves it out.

#[cfg(feature = "burn")]
pub mod device;
pub mod planted;
#[cfg(feature = "suite")]
pub mod suite;
#[cfg(feature = "burn")]
pub mod toy;
