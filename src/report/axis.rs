//! Axes: range, scale, ticks that do not crowd.

use super::number::plain;

/// How values map to the axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    Linear,
    Log,
}

/// One axis of a chart.
#[derive(Clone, Debug)]
pub(crate) struct Axis {
    label: String,
    scale: Scale,
    low: f64,
    high: f64,
    ticks: Vec<f64>,
}

impl Axis {
    /// Over all values that the scale can show, with round ticks. `None` when there are none.
    pub(crate) fn over(label: &str, scale: Scale, values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let shown = |value: &f64| value.is_finite() && (scale == Scale::Linear || *value > 0.0);
        let (mut low, mut high) = values
            .into_iter()
            .filter(shown)
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            return None;
        }
        match scale {
            Scale::Linear => {
                let pad = if high > low { 0.05 * (high - low) } else { 0.5 * high.abs().max(1.0) };
                // A range that starts at 0 keeps its start.
                low = if low == 0.0 { 0.0 } else { low - pad };
                high += pad;
            }
            Scale::Log => {
                let pad = if high > low { (high / low).powf(0.06) } else { 2.0 };
                (low, high) = (low / pad, high * pad);
            }
        }
        if !(low.is_finite() && high.is_finite() && low < high) {
            return None;
        }
        let ticks = if scale == Scale::Linear { linear_ticks(low, high) } else { log_ticks(low, high) };
        Some(Self { label: label.to_owned(), scale, low, high, ticks })
    }

    /// With ticks at given values, such as the ranks or sizes that were measured.
    pub(crate) fn ticks_at(mut self, values: impl IntoIterator<Item = f64>) -> Self {
        let mut ticks: Vec<f64> = values.into_iter().filter(|value| self.share(*value).is_some()).collect();
        ticks.sort_by(f64::total_cmp);
        ticks.dedup();
        if !ticks.is_empty() {
            self.ticks = ticks;
        }
        self
    }

    pub(crate) fn label(&self) -> &str {
        &self.label
    }

    pub(crate) fn range(&self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Where a value lies, 0 at the low end and 1 at the high end; `None` outside and for NaN.
    pub(crate) fn share(&self, value: f64) -> Option<f64> {
        self.unclipped(value).filter(|share| (-1e-9..=1.0 + 1e-9).contains(share))
    }

    /// The same without the ends; `None` for what the scale cannot show.
    pub(crate) fn unclipped(&self, value: f64) -> Option<f64> {
        let share = match self.scale {
            Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log if value > 0.0 => (value / self.low).ln() / (self.high / self.low).ln(),
            Scale::Log => f64::NAN,
        };
        share.is_finite().then_some(share)
    }

    /// Ticks with their labels, leaving out those that would come closer than `gap` (a share of the axis).
    pub(crate) fn ticks(&self, gap: f64) -> Vec<(f64, String)> {
        let mut last = f64::NEG_INFINITY;
        let mut kept = Vec::new();
        for &tick in &self.ticks {
            let Some(share) = self.share(tick) else { continue };
            if share - last >= gap {
                last = share;
                kept.push((share, plain(tick)));
            }
        }
        kept
    }
}

/// Multiples of 1, 2 or 5 times a power of ten, four to eight of them.
fn linear_ticks(low: f64, high: f64) -> Vec<f64> {
    let raw = (high - low) / 5.0;
    let power = 10_f64.powf(raw.log10().floor());
    let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|step| *step >= raw);
    let step = step.unwrap_or(raw);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last.min(first + 20)).map(|i| i as f64 * step).collect()
}

/// Powers of ten, with 2 and 5 between them where there are fewer than three, and evenly spaced ticks where even those are few.
fn log_ticks(low: f64, high: f64) -> Vec<f64> {
    let decades = (low.log10().floor() as i32)..=(high.log10().ceil() as i32);
    let within = |factors: &[f64]| -> Vec<f64> {
        decades
            .clone()
            .flat_map(|decade| factors.iter().map(move |factor| factor * 10_f64.powi(decade)))
            .filter(|tick| (low..=high).contains(tick))
            .collect()
    };
    let sets: [&[f64]; 2] = [&[1.0], &[1.0, 2.0, 5.0]];
    for factors in sets {
        let ticks = within(factors);
        if ticks.len() >= 3 {
            return ticks;
        }
    }
    linear_ticks(low, high)
}
