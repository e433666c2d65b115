//! Calibration: which short runs to do, the laws fitted to them, and the rank tuples that the laws balance.
mod balanced;
pub(crate) mod fitting;
mod plan;
mod tuple;

pub(crate) use balanced::line_up;
pub(crate) use plan::{alone, joint, spread};
pub(crate) use tuple::{Gates, tuples};
