//! How far a fit would move if the data were drawn again: bootstrap refits and the intervals they give.

mod bootstrap;
mod interval;
mod resampling;
mod tails;
mod undetermined;

pub(crate) use bootstrap::check_level;
pub use bootstrap::{Bootstrap, BootstrapOptions, bootstrap};
pub(crate) use interval::Number;
pub use interval::{Interval, IntervalKind};
pub use resampling::Resampling;
pub(crate) use tails::{Tails, normal_quantile, quantile};
pub(crate) use undetermined::Undetermined;
