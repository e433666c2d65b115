//! Law-C, the convergence time of a module: t(r, D) = k r^gamma D^delta + E.
//!
//! Published: MARS, arXiv 2603.00720, where gamma < 0 (a higher rank needs fewer steps) and delta > 0. Measured on the
//! 28 points of its figure 2b: k = 4.52, gamma = -0.359, delta = 0.747, E = 3.9 steps.

use crate::fit::{Domain, Law, Parameter, Point, least_squares};
use serde::{Deserialize, Serialize};

/// Law-C of one module, fitted or given: `t = k r^gamma D^delta + offset`, t in optimizer steps, D in samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LawC {
    /// Factor, in steps, > 0.
    pub k: f64,
    /// Exponent of the rank; negative when rank speeds convergence.
    pub gamma: f64,
    /// Exponent of the number of samples.
    pub delta: f64,
    /// E, in steps, >= 0: the part of the time that does not depend on the rank; 0 if it was not fitted.
    #[serde(default)]
    pub offset: f64,
}

impl LawC {
    /// Convergence time in steps at a rank and a number of samples.
    pub fn predict(&self, rank: f64, samples: f64) -> f64 {
        self.k * rank.powf(self.gamma) * samples.powf(self.delta) + self.offset
    }

    /// r^gamma D^delta from ln r and ln D.
    fn shape(&self, [rank, samples]: [f64; 2]) -> f64 {
        (self.gamma * rank + self.delta * samples).exp()
    }

    /// From parameters in the order of [`LawCForm`]; a missing offset is 0.
    pub(crate) fn from_parameters(parameters: &[f64]) -> Self {
        let at = |i: usize| parameters.get(i).copied().unwrap_or(0.0);
        Self { k: at(0), gamma: at(1), delta: at(2), offset: at(3) }
    }
}

/// Law-C as a form to fit: inputs `rank`, `samples`; parameters `k`, `gamma`, `delta` and, if asked for, `offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LawCForm {
    /// Whether E is fitted; without it the law is linear in logarithms and solved in closed form.
    pub offset: bool,
}

/// ln r and ln D.
fn logs(input: &[f64]) -> [f64; 2] {
    [input[0].ln(), input[1].ln()]
}

impl Law for LawCForm {
    fn name(&self) -> String {
        if self.offset { "law-c with offset".into() } else { "law-c".into() }
    }

    fn inputs(&self) -> Vec<String> {
        vec!["rank".into(), "samples".into()]
    }

    fn parameters(&self) -> Vec<Parameter> {
        let mut parameters = vec![
            Parameter::new("k", "steps", Domain::Positive),
            Parameter::new("gamma", "1", Domain::Free),
            Parameter::new("delta", "1", Domain::Free),
        ];
        if self.offset {
            parameters.push(Parameter::new("offset", "steps", Domain::NonNegative));
        }
        parameters
    }

    fn predict(&self, parameters: &[f64], input: &[f64]) -> f64 {
        let law = LawC::from_parameters(parameters);
        law.k * law.shape(logs(input)) + law.offset
    }

    fn gradient(&self, parameters: &[f64], input: &[f64], gradient: &mut [f64]) {
        let law = LawC::from_parameters(parameters);
        let [rank, samples] = logs(input);
        let shape = law.shape([rank, samples]);
        gradient[0] = shape;
        gradient[1] = law.k * shape * rank;
        gradient[2] = law.k * shape * samples;
        if self.offset {
            gradient[3] = 1.0;
        }
    }

    fn log_linear(&self, input: &[f64]) -> Option<Vec<f64>> {
        (!self.offset).then(|| {
            let [rank, samples] = logs(input);
            vec![1.0, rank, samples]
        })
    }

    /// The closed form after subtracting 1, 30, 60 and 90 % of the least time as the offset.
    fn starts(&self, points: &[Point]) -> Vec<Vec<f64>> {
        let least = points.iter().map(|p| p.value).fold(f64::INFINITY, f64::min);
        let roots: Vec<f64> = points.iter().map(|p| p.weight.sqrt()).collect();
        let rows: Vec<Vec<f64>> =
            points.iter().map(|p| vec![1.0, p.input[0].ln(), p.input[1].ln()]).collect();
        let shares: &[f64] = if self.offset { &[0.01, 0.3, 0.6, 0.9] } else { &[0.0] };
        shares
            .iter()
            .filter_map(|share| {
                let taken = share * least.max(0.0);
                let targets: Vec<f64> = points.iter().map(|p| (p.value - taken).max(1e-12).ln()).collect();
                let mut start = least_squares(&rows, &targets, &roots)?;
                start[0] = start[0].exp();
                if self.offset {
                    start.push(taken);
                }
                Some(start)
            })
            .collect()
    }
}
