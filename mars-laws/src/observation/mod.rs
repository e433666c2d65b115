//! What was measured: convergence times and perplexities, the ranks they belong to, and their CSV form.

mod check;
mod convergence;
mod performance;
mod ranks;
mod table;

pub use convergence::ConvergenceObservation;
pub(crate) use convergence::convergence_points;
pub use performance::PerformanceObservation;
pub(crate) use performance::performance_points;
pub use ranks::Ranks;
pub use table::{ModuleCurves, Observations};
