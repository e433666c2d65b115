//! Law-C from the first steps of runs: loss curves of different ranks laid on one another over the logarithm of time.
//!
//! Reading one convergence time off a curve needs its plateau, and throws the rest of the curve away. At a constant LoRA
//! scale the validation curves of one module at different ranks r are one curve, shifted in log time (measured, ours):
//!
//! ```text
//! L_r(t) = L_0 - exp(g(ln t + s_r)),      t(r) / t(r_0) = exp(-s_r),      s_r = -gamma ln(r / r_0)
//! ```
//!
//! with L_0 the loss of the base model, g one smooth function for all ranks (a natural cubic spline) and r_0 the
//! lowest rank. All shifts are fitted at once, from all points, long before anything has converged.
mod common_curve;
mod curve;
mod interval;
mod line;
mod options;
mod outcome;
mod register;
mod spline;
mod times;

pub use curve::LossCurve;
pub use options::RegistrationOptions;
pub use outcome::{Refusal, RegisteredShift, Registration, RegistrationOutcome};
pub use register::register;
pub use times::{RegisteredTimes, TimedCurve, registered_times};
