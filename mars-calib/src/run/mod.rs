//! One training run: what determines it, what it leaves behind, and the order of its samples.
//!
//! A spec is all that determines a run, a record all that is measured of it; a record holds its spec, so that
//! it can be understood and checked alone. Steps are optimizer steps, losses natural-log cross-entropies per
//! answer token (nats).

pub mod kept;
pub mod optim;
pub mod order;
pub mod record;
pub mod spec;
