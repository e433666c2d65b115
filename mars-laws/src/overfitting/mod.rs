//! The over-fitting time: from which step on more training makes a run worse (ours).
//!
//! Of a run that over-fits, the time is the step of its lowest validation loss; of one that does not, a lower bound. Where one
//! module over-fits first, the time follows Law-C's form with Law-C's exponent of the rank (measured):
//!
//! ```text
//! t(r, D) = k r_m^gamma_m D^delta e^error,      gamma_m about that of Law-C of module m,  0 <= delta <= 1
//! ```
//!
//! In a run of several modules m is the one that over-fits first; which one that is, the data say or leave open. Runs of equal
//! modules have a law of their own, their *series*, and a law of the modules alone bounds that of all together: a run is over
//! as soon as one of its modules is.
//!
//! k, gamma and delta are fitted together by least squares in logarithms, gamma and delta with what is known of them before (Gaussian
//! priors). One run that over-fitted is enough: the interval then says how little that is. Runs that did not over-fit
//! enter only where the law would have them over-fit before their end.
mod bound;
mod estimate;
mod kept;
mod law;
mod observation;
mod series;

pub use estimate::{OverfittingEstimate, OverfittingVerdict};
pub use kept::{exceeds, kept_step, lowest_loss};
pub use law::{OverfittingLaw, OverfittingRefusal, overfitting_law};
pub use observation::{OverfittingObservation, OverfittingOptions, OverfittingTime, RankExponent};
