//! Whether shifts follow a power of the rank.

/// A least-squares line.
pub(super) struct Line {
    pub(super) slope: f64,
    centre: (f64, f64),
    /// Absent where all y are equal.
    pub(super) r2: Option<f64>,
}

impl Line {
    /// Through `(x, y)`.
    pub(super) fn through(x: &[f64], y: &[f64]) -> Self {
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        let centre = (mean(x), mean(y));
        let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
        for (x, y) in x.iter().zip(y) {
            let (dx, dy) = (x - centre.0, y - centre.1);
            xx += dx * dx;
            xy += dx * dy;
            yy += dy * dy;
        }
        Self { slope: xy / xx, centre, r2: (yy > 0.0).then(|| xy * xy / (xx * yy)) }
    }

    /// How far `y` lies above the line at `x`.
    pub(super) fn away(&self, x: f64, y: f64) -> f64 {
        y - self.centre.1 - self.slope * (x - self.centre.0)
    }
}
