//! One training run: what determines it, what it leaves behind, and the order of its samples.

pub mod optim;
pub mod order;
pub mod record;
pub mod spec;
