//! Calibration: which short runs to do, the laws fitted to them, and the rank tuples that the laws balance.
//!
//! Design: alone runs at every (module, size, rank, seed) of the plan for Law-C, the convergence time of a module;
//! joint runs at `joint` tuples for every (size, seed) for Law-P, the perplexity of all modules together. Runs last
//! `CalibrationPlan::steps` optimizer steps with a schedule of that length, on nested subsets of the training data.
//!
//! With a window most alone runs end after their first steps, which are registered (`design.rs`, `registered.rs`).
//!
//! Law-C, Law-P and the balance of convergence times are published (Cho et al., arXiv 2603.00720). Ours are the
//! choice of the offset by AICc, the intervals, the gates that refuse ill-conditioned fits, and the farthest-point
//! design of the joint runs.
mod balanced;
mod design;
pub(crate) mod first_pass;
pub(crate) mod fitting;
mod plan;
mod registered;
mod tuple;

pub(crate) use balanced::line_up;
pub(crate) use design::Design;
pub(crate) use plan::{alone, joint, spread};
pub(crate) use tuple::{Gates, tuples};
