//! Fits any [`Law`] to points by least squares, plain or robust, in linear or logarithmic residuals.

mod domain;
mod fitted;
mod goodness;
mod law;
mod least_squares;
mod loss;
mod multistart;
mod options;
mod saturation;
mod search;
mod starts;

pub use domain::Domain;
pub use fitted::{Fit, Reason};
pub use goodness::Goodness;
pub(crate) use goodness::free_directions;
pub use law::{Law, Parameter, Point};
pub(crate) use least_squares::{ClosedForm, least_squares};
pub use loss::{Loss, Residuals};
pub use multistart::fit;
pub use options::FitOptions;
pub(crate) use saturation::is_saturated;
pub(crate) use search::{Data, Search, search};
pub(crate) use starts::best_factors;
pub use starts::starts_around;
