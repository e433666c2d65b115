//! Seconds as a line over work.

use super::Seconds;

/// What work of so many FLOPs takes in one pass: `fixed + each * flops`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    fixed: Seconds,
    each: Seconds,
}

impl Line {
    /// Through points of (FLOPs, seconds): the first and the last by FLOPs. Through the origin where these are one, or
    /// where more work took less time, as noise can have it; then through the mean of both.
    pub(super) fn through(points: &[(f64, Seconds)]) -> Option<Self> {
        let by_work = |one: &&(f64, Seconds), other: &&(f64, Seconds)| one.0.total_cmp(&other.0);
        let (low, high) = (points.iter().min_by(by_work)?, points.iter().max_by(by_work)?);
        let wall = Self::coordinates((low.0, low.1.wall), (high.0, high.1.wall));
        let cpu = Self::coordinates((low.0, low.1.cpu), (high.0, high.1.cpu));
        Some(Self { fixed: Seconds { wall: wall.0, cpu: cpu.0 }, each: Seconds { wall: wall.1, cpu: cpu.1 } })
    }

    fn coordinates(low: (f64, f64), high: (f64, f64)) -> (f64, f64) {
        let slope = (high.1 - low.1) / (high.0 - low.0);
        let fixed = low.1 - slope * low.0;
        if slope.is_finite() && slope >= 0.0 && fixed >= 0.0 {
            return (fixed, slope);
        }
        let mean = (low.1 + high.1) / (low.0 + high.0);
        (0.0, if mean.is_finite() { mean } else { 0.0 })
    }

    /// What a pass over `flops` takes.
    pub(super) fn at(&self, flops: f64) -> Seconds {
        self.fixed.plus(self.each, flops)
    }
}

#[cfg(test)]
mod tests {
    use super::{Line, Seconds};

    const fn both(seconds: f64) -> Seconds {
        Seconds { wall: seconds, cpu: 2.0 * seconds }
    }

    #[test]
    fn two_points_make_a_line_and_one_a_ratio() {
        let line = Line::through(&[(10.0, both(3.0)), (2.0, both(1.4))]);
        let close =
            |line: Line| (line.at(0.0).wall - 1.0).abs() < 1e-12 && (line.at(5.0).cpu - 4.0).abs() < 1e-12;
        assert!(line.is_some_and(close), "{line:?}");
        let line = Line::through(&[(10.0, both(3.0))]);
        assert_eq!(line.map(|line| line.at(5.0)), Some(both(1.5)));
        assert_eq!(Line::through(&[]), None);
    }

    #[test]
    fn noise_makes_no_negative_times() {
        for points in [[(2.0, both(3.0)), (10.0, both(1.0))], [(2.0, both(0.1)), (3.0, both(1.0))]] {
            let line = Line::through(&points);
            assert!(
                line.is_some_and(|line| line.at(0.0).wall >= 0.0 && line.at(20.0).wall > 0.0),
                "{points:?}"
            );
        }
        let nothing = Line::through(&[(0.0, both(0.0))]);
        assert_eq!(nothing.map(|line| line.at(5.0)), Some(both(0.0)));
    }
}
