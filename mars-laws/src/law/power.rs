//! The power law of one variable, p(D) = A / D^beta + E: published, as the paper fits each rank separately.

use crate::fit::{Domain, Law, Parameter, Point, best_factors};

/// A / D^beta + E: input `samples`; parameters `A` > 0, `beta`, `E` >= 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PowerLaw;

impl Law for PowerLaw {
    fn name(&self) -> String {
        "power law".into()
    }

    fn inputs(&self) -> Vec<String> {
        vec!["samples".into()]
    }

    fn parameters(&self) -> Vec<Parameter> {
        vec![
            Parameter::new("A", "1", Domain::Positive),
            Parameter::new("beta", "1", Domain::Free),
            Parameter::new("E", "1", Domain::NonNegative),
        ]
    }

    fn predict(&self, parameters: &[f64], input: &[f64]) -> f64 {
        parameters[0] * input[0].powf(-parameters[1]) + parameters[2]
    }

    fn gradient(&self, parameters: &[f64], input: &[f64], gradient: &mut [f64]) {
        let falling = input[0].powf(-parameters[1]);
        gradient[0] = falling;
        gradient[1] = -parameters[0] * falling * input[0].ln();
        gradient[2] = 1.0;
    }

    /// A grid of exponents, the factors at their best non-negative values for each.
    fn starts(&self, points: &[Point]) -> Vec<Vec<f64>> {
        [0.1, 0.3, 0.6, 1.0, 1.6]
            .iter()
            .filter_map(|beta| {
                let (_, factors) = best_factors(points, &[&vec![-beta]])?;
                Some(vec![factors[0], *beta, factors[1]])
            })
            .collect()
    }
}
