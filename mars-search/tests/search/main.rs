//! Policies on simulated tasks: planted laws and curves instead of training.
#![allow(clippy::unwrap_used)]

use mars_testkit::planted;

mod cap;
mod contests;
mod costs;
mod entrants;
mod guided;
mod kept;
mod kit;
mod lawful;
mod leads;
mod machine;
mod more_policies;
mod names;
mod paper;
mod race;
mod regret;
mod replay;
mod searches;
