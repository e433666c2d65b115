//! Which quantiles of the draws are the ends of an interval.
//!
//! Percentile and BCa: Efron, "Better Bootstrap Confidence Intervals", JASA 82 (1987). Expanded percentile:
//! Hesterberg, "What Teachers Should Know About the Bootstrap", Am. Stat. 69 (2015): the nominal tail a becomes
//! Phi(-t_(1-a, n-p)), so that few points give wide intervals, as Student's t does.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// The shares of the draws below the two ends of an interval.
pub(crate) struct Tails {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Tails {
    /// (1 - level) / 2 on each side.
    pub(crate) fn percentile(level: f64) -> Self {
        Self { low: (1.0 - level) / 2.0, high: (1.0 + level) / 2.0 }
    }

    /// Phi(-+ stretch t), t the Student quantile with `freedom` degrees of freedom; `stretch` >= 1 compensates for draws
    /// that vary less than the estimate does.
    pub(crate) fn expanded(level: f64, freedom: f64, stretch: f64) -> Self {
        let z = stretch * student_quantile((1.0 + level) / 2.0, freedom);
        Self { low: normal_cdf(-z), high: normal_cdf(z) }
    }

    /// Bias correction from the share of ascending draws below the estimate, acceleration from the skewness of the
    /// `jackknife` values.
    pub(crate) fn bca(level: f64, ascending: &[f64], estimate: f64, jackknife: &[f64]) -> Self {
        let below = ascending.partition_point(|v| *v < estimate);
        let ties = ascending[below..].partition_point(|v| *v <= estimate);
        let count = ascending.len() as f64;
        let share = (below as f64 + ties as f64 / 2.0) / count;
        let bias = normal_quantile(share.clamp(0.5 / count, 1.0 - 0.5 / count));
        let mean = jackknife.iter().sum::<f64>() / jackknife.len().max(1) as f64;
        let (squares, cubes) = jackknife.iter().fold((0.0, 0.0), |(squares, cubes), v| {
            let away = mean - v;
            (squares + away.powi(2), cubes + away.powi(3))
        });
        let acceleration = if squares > 0.0 { cubes / (6.0 * squares.powf(1.5)) } else { 0.0 };
        let end = |share: f64| {
            let z = bias + normal_quantile(share);
            normal_cdf(bias + z / (1.0 - acceleration * z))
        };
        let plain = Self::percentile(level);
        Self { low: end(plain.low), high: end(plain.high) }
    }
}

/// Standard normal distribution function.
pub(crate) fn normal_cdf(z: f64) -> f64 {
    Normal::standard().cdf(z)
}

/// Standard normal quantile.
pub(crate) fn normal_quantile(share: f64) -> f64 {
    Normal::standard().inverse_cdf(share)
}

/// Quantile of Student's t; of the normal if `freedom` is too large or not positive.
pub(crate) fn student_quantile(share: f64, freedom: f64) -> f64 {
    match StudentsT::new(0.0, 1.0, freedom) {
        Ok(t) if freedom < 1e6 => t.inverse_cdf(share),
        _ => normal_quantile(share),
    }
}

/// Quantile of ascending values, NaN if there are none: position share (n + 1), linear between order statistics
/// (Weibull; a new draw falls below it with exactly that probability).
pub(crate) fn quantile(ascending: &[f64], share: f64) -> f64 {
    let Some(last) = ascending.len().checked_sub(1) else { return f64::NAN };
    let position = (share * ascending.len() as f64 + share - 1.0).clamp(0.0, last as f64);
    let (below, above) = (position.floor() as usize, position.ceil() as usize);
    let (low, high) = (ascending[below], ascending[above]);
    if low == high { low } else { low + (high - low) * (position - below as f64) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-6
    }

    #[test]
    fn quantiles_of_the_tables() {
        assert!(near(normal_quantile(0.975), 1.959_964) && near(normal_cdf(1.644_854), 0.95));
        assert!(
            near(student_quantile(0.975, 8.0), 2.306_004) && near(student_quantile(0.95, 24.0), 1.710_882)
        );
        assert!(
            near(student_quantile(0.975, 1e9), 1.959_964) && near(student_quantile(0.975, -1.0), 1.959_964)
        );
    }

    #[test]
    fn a_new_draw_falls_below_each_order_statistic_as_often_as_its_position_says() {
        let nine: Vec<f64> = (1..=9).map(f64::from).collect();
        for i in 1..=9 {
            assert!(near(quantile(&nine, f64::from(i) / 10.0), f64::from(i)));
        }
        assert_eq!((quantile(&nine, 0.0), quantile(&nine, 1.0)), (1.0, 9.0));
        assert!(quantile(&[], 0.5).is_nan() && quantile(&[3.0], 0.2) == 3.0);
        assert_eq!(quantile(&[1.0, f64::INFINITY, f64::INFINITY], 0.75), f64::INFINITY);
    }

    #[test]
    fn expanded_tails_are_students_and_narrow_to_the_percentiles() {
        let few = Tails::expanded(0.95, 8.0, 1.0);
        assert!(near(few.low, normal_cdf(-2.306_004)) && near(few.high, normal_cdf(2.306_004)));
        let many = Tails::expanded(0.95, 1e7, 1.0);
        assert!(near(many.low, 0.025) && near(many.high, 0.975));
    }

    #[test]
    fn bca_is_the_percentile_interval_without_bias_and_skew() {
        let draws: Vec<f64> = (1..=99).map(f64::from).collect();
        let plain = Tails::bca(0.9, &draws, 50.0, &[1.0, 2.0, 3.0]);
        assert!(near(plain.low, 0.05) && near(plain.high, 0.95));
        // Bias by hand: 70 of 99 draws below and one tie, so z0 = Phi^-1(70.5/99), ends Phi(2 z0 +- 1.644854).
        let z0 = normal_quantile(70.5 / 99.0);
        let biased = Tails::bca(0.9, &draws, 71.0, &[]);
        assert!(near(biased.low, normal_cdf(2.0 * z0 - 1.644_854)));
        assert!(near(biased.high, normal_cdf(2.0 * z0 + 1.644_854)));
        // Skew by hand: jackknife 0, 0, 3 has mean 1, sum of squares 6, of cubes 1 + 1 - 8 = -6.
        let a = -6.0 / (6.0 * 6.0_f64.powf(1.5));
        let skewed = Tails::bca(0.9, &draws, 50.0, &[0.0, 0.0, 3.0]);
        assert!(near(skewed.high, normal_cdf(1.644_854 / (1.0 - a * 1.644_854))));
    }
}
