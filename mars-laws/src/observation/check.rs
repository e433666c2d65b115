//! Checks that every observation must pass before it enters a fit.

use crate::Error;

/// The weight of an observation that states none.
pub(super) fn one() -> f64 {
    1.0
}

/// All conventions equal.
pub(super) fn conventions<'a>(mut conventions: impl Iterator<Item = &'a str>) -> Result<(), Error> {
    let Some(first) = conventions.next() else { return Ok(()) };
    match conventions.enumerate().find(|(_, other)| *other != first) {
        None => Ok(()),
        Some((i, other)) => {
            Err(Error::MixedConventions { first: first.into(), other: other.into(), index: i + 1 })
        }
    }
}

/// A rank or a number of samples: 1 or more.
pub(super) fn count(index: usize, field: &str, value: usize) -> Result<(), Error> {
    if value >= 1 {
        return Ok(());
    }
    Err(Error::BadObservation { index, field: field.into(), value: value.to_string(), allowed: "1 or more" })
}

/// A measured value or a weight: finite and above 0.
pub(super) fn positive(index: usize, field: &str, value: f64) -> Result<(), Error> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    let (field, value) = (field.to_string(), value.to_string());
    Err(Error::BadObservation { index, field, value, allowed: "finite and positive" })
}
