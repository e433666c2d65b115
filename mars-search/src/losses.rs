//! Losses in files: JSON has no NaN and no infinity, and the loss of a run that diverges is one of them.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// As `null` where it is not finite.
pub(crate) fn serialize<S: Serializer>(curve: &[(usize, f64)], to: S) -> Result<S::Ok, S::Error> {
    let point = |(step, loss): &(usize, f64)| (*step, Some(*loss).filter(|loss| loss.is_finite()));
    curve.iter().map(point).collect::<Vec<_>>().serialize(to)
}

/// `null` is NaN.
pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(usize, f64)>, D::Error> {
    let points = Vec::<(usize, Option<f64>)>::deserialize(from)?;
    Ok(points.into_iter().map(|(step, loss)| (step, loss.unwrap_or(f64::NAN))).collect())
}

/// A perplexity that is `null` is infinite: `exp` of a loss above 709 nats.
pub(crate) fn perplexity<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::INFINITY))
}
