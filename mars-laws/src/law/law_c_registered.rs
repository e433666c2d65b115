//! Law-C of one module from runs that mostly ended long before their convergence (ours).
//!
//! The exponent of the rank comes from registration, the factor and the exponent of the size from the few runs that
//! trained to their convergence. Each registered rank becomes a point `t(r, D)`, and Law-C without its offset is fitted to the
//! points by least squares in logarithms.
//!
//! Intervals: in each of the draws the shifts are those of one redrawn registration, and the logarithm of each measured
//! convergence time moves by a normal error of 0.05, the spread over seeds (measured on module-alone runs).

use super::{LawC, LawCFit, LawCForm, one_size::OneSize};
use crate::{
    Error,
    fit::{Fit, FitOptions, Law, Point, Residuals, fit, least_squares},
    registration::{RegisteredTimes, Registration, RegistrationOptions, TimedCurve, registered_times},
    uncertainty::{Bootstrap, Interval, Undetermined, normal_quantile},
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use std::collections::BTreeMap;

/// Standard deviation of the logarithm of a convergence time over seeds.
const TIME_ERROR: f64 = 0.05;
/// Sets the errors of the times apart from the draws of the registration, which have the same seed.
const STREAM: u64 = 0x7d3;

/// Runs of one module alone on the same samples, at one rank or more.
#[derive(Clone, Debug, PartialEq)]
pub struct CalibrationSet {
    /// D, the size of the training subset, in samples; > 0.
    pub samples: usize,
    /// The runs; several of one rank are seeds.
    pub runs: Vec<TimedCurve>,
}

/// Law-C from registered runs.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisteredLawC {
    /// The law, or why there is none, as a sentence.
    pub law: Result<LawCFit, String>,
    /// The registration and the times of each set, in the order given.
    pub sets: Vec<RegisteredTimes>,
}

/// Law-C of `module` from `sets`, at least one of which has two ranks, and one run a convergence time.
///
/// Of the curves of a set only the part up to the end of the shortest is registered: the rest of a run that went on to its
/// convergence has nothing to be laid on.
///
/// With one size only, delta is 0 and its interval unbounded: the law then holds at that size, and the intervals of
/// predictions at others are unbounded too.
///
/// # Errors
/// As [`register`](crate::register). Curves that cannot be registered, or points that determine no law, are no error but
/// the reason in [`RegisteredLawC::law`].
pub fn registered_law_c(
    module: &str,
    sets: &[CalibrationSet],
    options: &RegistrationOptions,
) -> Result<RegisteredLawC, Error> {
    let register = |set: &CalibrationSet| {
        let ends = set.runs.iter().filter_map(|run| run.curve.times.last().copied());
        let until = ends.fold(options.until, f64::min);
        registered_times(&set.runs, &RegistrationOptions { until, ..*options })
    };
    let found: Vec<RegisteredTimes> = sets.iter().map(register).collect::<Result<_, _>>()?;
    let law = points(sets, &found).and_then(|points| {
        let own: Vec<Point> = points.iter().map(|time| time.point.clone()).collect();
        let how = FitOptions { residuals: Residuals::Log, ..FitOptions::default() };
        let fitted = fit(&*form(&points), &own, &how).map_err(|error| error.to_string())?;
        if !fitted.reason.is_ok() {
            return Err(format!("the fit is {}", fitted.reason));
        }
        Ok(with_intervals(module, &points, fitted, (sets, &found), options))
    });
    Ok(RegisteredLawC { law, sets: found })
}

/// A time at a rank and a size, and where it comes from.
struct Time {
    point: Point,
    /// The set.
    set: usize,
    /// Where the rank is in the registration of the set; `None` without one.
    place: Option<usize>,
}

/// The registration of a set, and the places in it of the ranks that have a time of their own.
struct Anchored<'a> {
    registration: &'a Registration,
    known: Vec<usize>,
}

impl<'a> Anchored<'a> {
    fn of(set: &CalibrationSet, found: &'a RegisteredTimes) -> Option<Self> {
        let registration = found.outcome.registration()?;
        let known = set.runs.iter().filter(|run| run.time.is_some());
        let known = known.filter_map(|run| registration.place(run.curve.rank)).collect();
        Some(Self { registration, known })
    }

    /// By how much ln t of the rank at `place` moves with the shifts of a draw; 0 where there is no such draw.
    fn moved(&self, place: usize, draw: usize) -> f64 {
        let Some(shifts) = self.registration.redrawn.shifts.get(draw) else { return 0.0 };
        let change = |place: usize| shifts[place] - self.registration.shifts[place].shift;
        let known =
            self.known.iter().map(|place| change(*place)).sum::<f64>() / self.known.len().max(1) as f64;
        known - change(place)
    }
}

/// One point for each rank of each set that has a time.
fn points(sets: &[CalibrationSet], found: &[RegisteredTimes]) -> Result<Vec<Time>, String> {
    let mut points = Vec::new();
    for (at, (set, found)) in sets.iter().zip(found).enumerate() {
        let mut times: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
        for (run, time) in set.runs.iter().zip(&found.times) {
            times.entry(run.curve.rank).or_default().extend(time.map(f64::ln));
        }
        let registration = found.outcome.registration();
        if times.len() > 1 && registration.is_none() {
            return Err(format!("at {} samples {}", set.samples, found.outcome));
        }
        for (rank, logs) in times.into_iter().filter(|(_, logs)| !logs.is_empty()) {
            let time = (logs.iter().sum::<f64>() / logs.len() as f64).exp();
            let input = vec![rank as f64, set.samples as f64];
            let place = registration.and_then(|registration| registration.place(rank));
            points.push(Time { point: Point::new(input, time), set: at, place });
        }
    }
    let ranks = points.iter().any(|time| time.point.input[0] != points[0].point.input[0]);
    match (points.is_empty(), ranks) {
        (true, _) => Err("no run trained to its convergence".to_owned()),
        (_, false) => Err("there is a time at one rank only".to_owned()),
        (_, true) => Ok(points),
    }
}

/// The form that the sizes of the points determine.
fn form(points: &[Time]) -> Box<dyn Law> {
    let sizes = points.iter().any(|time| time.point.input[1] != points[0].point.input[1]);
    if sizes { Box::new(LawCForm { offset: false }) } else { Box::new(OneSize) }
}

fn with_intervals(
    module: &str,
    points: &[Time],
    fitted: Fit,
    (sets, found): (&[CalibrationSet], &[RegisteredTimes]),
    options: &RegistrationOptions,
) -> LawCFit {
    let form = form(points);
    let rows: Vec<Vec<f64>> = points.iter().filter_map(|time| form.log_linear(&time.point.input)).collect();
    let roots = vec![1.0; rows.len()];
    let anchored: Vec<_> = sets.iter().zip(found).map(|(set, found)| Anchored::of(set, found)).collect();
    let redraw = |draw: usize| -> Option<Vec<f64>> {
        let mut rng = ChaCha8Rng::seed_from_u64(options.seed ^ STREAM);
        rng.set_stream(draw as u64);
        // One error for each set: its ranks share the measured time.
        let errors: Vec<f64> =
            found.iter().map(|_| TIME_ERROR * normal_quantile(rng.random_range(1e-9..1.0))).collect();
        let target = |time: &Time| {
            let shifts = anchored[time.set].as_ref().zip(time.place);
            let moved = shifts.map_or(0.0, |(anchored, place)| anchored.moved(place, draw));
            time.point.value.ln() + errors[time.set] + moved
        };
        let mut drawn = least_squares(&rows, &points.iter().map(target).collect::<Vec<_>>(), &roots)?;
        drawn[0] = drawn[0].exp();
        Some(drawn)
    };
    let draws: Vec<Vec<f64>> = (0..options.draws).filter_map(redraw).collect();
    // A power of the size can take the place of a part of the factor, where there is one size.
    let (mut estimate, mut open) = (fitted.parameters.clone(), Vec::new());
    if estimate.len() < 3 {
        open.push(vec![-estimate[0] * points[0].point.input[1].ln(), 0.0, 1.0]);
        estimate.push(0.0);
    }
    let freedom = anchored.iter().flatten().map(|one| one.registration.redrawn.freedom);
    let freedom = freedom.fold(f64::INFINITY, f64::min);
    let refits = Bootstrap::given(estimate, draws, freedom, Undetermined::new(open));
    let mut interval = refits.parameter_intervals(&fitted.names, options.level);
    interval.entry("delta".to_owned()).or_insert(Interval::UNBOUNDED);
    LawCFit {
        module: module.to_owned(),
        law: LawC::from_parameters(&fitted.parameters),
        r2_log: fitted.goodness.r2_log.unwrap_or(0.0),
        interval,
        reason: fitted.reason,
        with_offset: false,
        fit: fitted,
        bootstrap: Some(refits),
    }
}
