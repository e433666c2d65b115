//! Law-C at a single size: t = k r^gamma.

use crate::fit::{Domain, Law, Parameter, Point, least_squares};

/// Inputs `rank`, `samples` (not used); parameters `k`, `gamma`.
pub(super) struct OneSize;

impl Law for OneSize {
    fn name(&self) -> String {
        "law-c at one size".into()
    }

    fn inputs(&self) -> Vec<String> {
        vec!["rank".into(), "samples".into()]
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![Parameter::new("k", "steps", Domain::Positive), Parameter::new("gamma", "1", Domain::Free)]
    }

    fn predict(&self, parameters: &[f64], input: &[f64]) -> f64 {
        parameters[0] * input[0].powf(parameters[1])
    }

    fn gradient(&self, parameters: &[f64], input: &[f64], gradient: &mut [f64]) {
        gradient[0] = input[0].powf(parameters[1]);
        gradient[1] = self.predict(parameters, input) * input[0].ln();
    }

    fn log_linear(&self, input: &[f64]) -> Option<Vec<f64>> {
        Some(vec![1.0, input[0].ln()])
    }

    fn starts(&self, points: &[Point]) -> Vec<Vec<f64>> {
        let rows: Vec<Vec<f64>> = points.iter().filter_map(|point| self.log_linear(&point.input)).collect();
        let targets: Vec<f64> = points.iter().map(|point| point.value.max(1e-12).ln()).collect();
        let start = least_squares(&rows, &targets, &vec![1.0; rows.len()]);
        start.map(|start| vec![start[0].exp(), start[1]]).into_iter().collect()
    }
}
