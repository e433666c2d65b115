//! Convergence times of runs that mostly ended long before their convergence.

use super::{LossCurve, RegistrationOptions, RegistrationOutcome, register};
use crate::Error;

/// A run of one module with the others frozen, on one set of samples.
#[derive(Clone, Debug, PartialEq)]
pub struct TimedCurve {
    /// Its validation losses.
    pub curve: LossCurve,
    /// Its own convergence time, > 0, where it trained long enough to have one.
    pub time: Option<f64>,
}

/// The registration of runs, and what it says of the time of each.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisteredTimes {
    /// Shifts, or why there are none.
    pub outcome: RegistrationOutcome,
    /// The convergence time of each run, in the unit of the times given. From the registration where its rank is
    /// registered and a run of a registered rank has a time of its own; otherwise the run's own, if it has one.
    pub times: Vec<Option<f64>>,
}

/// The convergence times of `runs` of one module on the same samples at different ranks: one run that trained to its
/// convergence gives those of all.
///
/// # Errors
/// As [`register`].
pub fn registered_times(
    runs: &[TimedCurve],
    options: &RegistrationOptions,
) -> Result<RegisteredTimes, Error> {
    let curves: Vec<LossCurve> = runs.iter().map(|run| run.curve.clone()).collect();
    let outcome = register(&curves, options)?;
    let known: Vec<(usize, f64)> = runs.iter().filter_map(|run| Some((run.curve.rank, run.time?))).collect();
    let registered = outcome.registration().and_then(|registration| registration.times(&known));
    let time = |run: &TimedCurve| {
        let rank = |(rank, _): &&(usize, f64)| *rank == run.curve.rank;
        registered.iter().flatten().find(rank).map(|(_, time)| *time).or(run.time)
    };
    Ok(RegisteredTimes { times: runs.iter().map(time).collect(), outcome })
}
