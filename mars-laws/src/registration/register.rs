//! The registration of curves: checks, fit, and whether the result may be used.

use super::{
    LossCurve, Refusal, RegisteredShift, Registration, RegistrationOptions, RegistrationOutcome,
    common_curve::CommonCurve, interval::Draws, line::Line, outcome::Redrawn,
};
use crate::{
    Error,
    fit::{FitOptions, Point, fit},
};

/// Knots of the common curve: one for this many points, within these limits.
const POINTS_A_KNOT: usize = 2;
const KNOTS: std::ops::RangeInclusive<usize> = 3..=7;

/// Points on the common curve for a picture.
const DRAWN: usize = 48;

/// Lays the curves of one module at different ranks on one another.
///
/// Several curves of one rank (seeds) share its shift. From each curve the evaluations after time 0 up to its lowest loss
/// are used. Equal curves and options give equal results on any number of threads.
///
/// # Errors
/// A curve that does not begin at time 0, or whose times do not ascend, or with a value that is not finite; an option
/// out of its range. Curves that cannot be registered are no error but [`RegistrationOutcome::Refused`].
pub fn register(curves: &[LossCurve], options: &RegistrationOptions) -> Result<RegistrationOutcome, Error> {
    for (index, curve) in curves.iter().enumerate() {
        curve.check(index)?;
    }
    options.check()?;
    match attempt(curves, options) {
        Ok(registration) => Ok(RegistrationOutcome::Registered(registration)),
        Err(Attempt::Refused(why)) => Ok(RegistrationOutcome::Refused { why }),
        Err(Attempt::Failed(error)) => Err(error),
    }
}

/// What is registered: the evaluations while the loss falls.
struct Evaluations {
    /// Ascending, those with two or more evaluations after the start.
    ranks: Vec<usize>,
    /// Inputs (index of the rank, ln t), value: improvement over the base model.
    points: Vec<Point>,
    /// (curve, evaluation) of each point.
    places: Vec<(usize, usize)>,
}

impl Evaluations {
    fn of(curves: &[LossCurve], options: &RegistrationOptions) -> Result<Self, Refusal> {
        let lengths: Vec<usize> = curves.iter().map(|curve| curve.falling(options.until)).collect();
        let improvements =
            curves.iter().zip(&lengths).filter(|(_, length)| **length > 0).map(|(curve, length)| {
                let base = curve.losses[0];
                let part = (base - curve.losses[length - 1]) / base.abs();
                // A loss of 0 cannot improve.
                (curve.rank, if part.is_finite() { part } else { 0.0 })
            });
        if let Some((rank, part)) = improvements.min_by(|a, b| a.1.total_cmp(&b.1))
            && part < options.min_improvement
        {
            return Err(Refusal::NoImprovement { rank, part });
        }
        let long = curves.iter().zip(&lengths).filter(|(_, length)| **length > 2);
        let mut ranks: Vec<usize> = long.map(|(curve, _)| curve.rank).collect();
        ranks.sort_unstable();
        ranks.dedup();
        if ranks.len() < 2 {
            return Err(Refusal::TooFewCurves);
        }
        let (mut points, mut places) = (Vec::new(), Vec::new());
        for (at, (curve, length)) in curves.iter().zip(&lengths).enumerate() {
            let Ok(rank) = ranks.binary_search(&curve.rank) else { continue };
            for i in 1..*length {
                let input = vec![rank as f64, curve.times[i].ln()];
                points.push(Point::new(input, curve.losses[0] - curve.losses[i]));
                places.push((at, i));
            }
        }
        Ok(Self { ranks, points, places })
    }

    /// ln(rank) above that of the lowest rank.
    fn log_ranks(&self) -> Vec<f64> {
        self.ranks.iter().map(|rank| (*rank as f64 / self.ranks[0] as f64).ln()).collect()
    }

    /// The law of one common curve for these evaluations.
    fn law(&self) -> Result<CommonCurve, Refusal> {
        let knots = (self.points.len() / POINTS_A_KNOT).clamp(*KNOTS.start(), *KNOTS.end());
        let needed = self.ranks.len() + knots;
        if self.points.len() < needed {
            return Err(Refusal::TooFewPoints { found: self.points.len(), needed });
        }
        CommonCurve::new(self.log_ranks(), &self.points, knots).ok_or(Refusal::TooFewCurves)
    }
}

fn attempt(curves: &[LossCurve], options: &RegistrationOptions) -> Result<Registration, Attempt> {
    let seen = Evaluations::of(curves, options)?;
    let (law, log_ranks) = (seen.law()?, seen.log_ranks());
    let fitted = fit(&law, &seen.points, &FitOptions::default())?;
    if !fitted.reason.is_ok() {
        return Err(Refusal::NotDetermined.into());
    }
    let at: Vec<f64> = seen.points.iter().map(|point| law.place(&fitted.parameters, &point.input)).collect();
    let overlaps = (0..seen.ranks.len()).map(|i| (seen.ranks[i], overlap(&at, &seen.points, i)));
    if let Some((rank, part)) = overlaps.into_iter().find(|(_, part)| *part < options.min_overlap) {
        return Err(Refusal::NoOverlap { rank, part }.into());
    }
    let misfits = (0..seen.ranks.len()).map(|i| misfit(&seen.points, &fitted.goodness.residuals, i));
    let misfit = misfits.fold(0.0, f64::max);
    if misfit.is_nan() || misfit > options.max_misfit {
        return Err(Refusal::NotOneCurve { misfit }.into());
    }
    let shifts = |parameters: &[f64]| -> Vec<f64> {
        std::iter::once(0.0).chain(parameters[..law.shifts()].iter().copied()).collect()
    };
    let own = shifts(&fitted.parameters);
    let line = Line::through(&log_ranks, &own);
    let away = (0..own.len()).map(|i| (seen.ranks[i], line.away(log_ranks[i], own[i])));
    if let Some((rank, departure)) = away.max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()))
        && departure.abs() > options.max_departure
    {
        return Err(Refusal::NotStraight { rank, departure }.into());
    }
    let draws = Draws::of(&law, &seen.points, &seen.places, curves, &fitted, options);
    let (low, high) = at.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(*x), b.max(*x)));
    let drawn = (0..DRAWN).map(|i| {
        let place = low + (high - low) * i as f64 / (DRAWN - 1) as f64;
        [place.exp(), curves[0].losses[0] - law.improvement(&fitted.parameters, place).0]
    });
    let shift = |i: usize| RegisteredShift {
        rank: seen.ranks[i],
        shift: own[i],
        interval: draws.interval(|parameters| shifts(parameters)[i]),
    };
    Ok(Registration {
        shifts: (0..own.len()).map(shift).collect(),
        gamma: -line.slope,
        gamma_interval: draws.interval(|parameters| -Line::through(&log_ranks, &shifts(parameters)).slope),
        straightness: line.r2.filter(|_| own.len() > 2),
        misfit,
        r2: fitted.goodness.r2.unwrap_or(f64::NAN),
        curve: drawn.collect(),
        redrawn: Redrawn { shifts: draws.each(shifts), freedom: fitted.goodness.freedom },
    })
}

/// Why an attempt gave no registration.
enum Attempt {
    Refused(Refusal),
    Failed(Error),
}

impl From<Refusal> for Attempt {
    fn from(why: Refusal) -> Self {
        Self::Refused(why)
    }
}

impl From<Error> for Attempt {
    fn from(error: Error) -> Self {
        match error {
            Error::NoFit { .. } => Self::Refused(Refusal::NotDetermined),
            error => Self::Failed(error),
        }
    }
}

/// Root mean square of the residuals of rank `i`, as a part of its largest improvement.
fn misfit(points: &[Point], residuals: &[f64], i: usize) -> f64 {
    let own = || points.iter().zip(residuals).filter(|(point, _)| point.input[0] as usize == i);
    let squares: f64 = own().map(|(_, residual)| residual * residual).sum();
    let largest = own().map(|(point, _)| point.value).fold(0.0, f64::max);
    (squares / own().count() as f64).sqrt() / largest
}

/// The part of rank `i`'s points that lie between the least and the greatest place of the other ranks' points.
fn overlap(at: &[f64], points: &[Point], i: usize) -> f64 {
    let (own, others): (Vec<_>, Vec<_>) =
        at.iter().zip(points).partition(|(_, point)| point.input[0] as usize == i);
    let ends = |(low, high): (f64, f64), (x, _): &(&f64, &Point)| (low.min(**x), high.max(**x));
    let (low, high) = others.iter().fold((f64::INFINITY, f64::NEG_INFINITY), ends);
    let within = own.iter().filter(|(x, _)| (low..=high).contains(*x)).count();
    within as f64 / own.len() as f64
}
