//! Law-P, the perplexity of a joint run: four forms over the ranks r_m of any number of modules and D samples.
//!
//! | form | p(r_1 .. r_N, D) | from |
//! |---|---|---|
//! | `published` | A / (prod r_m^alpha_m D^beta) + E | MARS, arXiv 2603.00720; Zhang et al., arXiv 2402.17193 |
//! | `tied` | A / ((prod r_m)^alpha D^beta) + E | ours: for runs whose ranks rise together, which do not tell modules apart |
//! | `overfit` | the same + C prod r_m^a_m D^b, C >= 0 | ours: the best rank can fall as D grows |
//! | `surface` | exp(quadratic in log2 r_m + d log2 D) | ours: local, can have its minimum inside the range |

use crate::{
    Error,
    fit::{Domain, Law, Parameter, Point, best_factors},
};
use serde::{Deserialize, Serialize};
use std::{borrow::Cow, fmt, str::FromStr};

/// Exponents beta of D from which searches may start.
const BETAS: [f64; 4] = [0.1, 0.4, 0.8, 1.3];
/// Exponents alpha of the ranks from which searches may start.
const ALPHAS: [f64; 3] = [0.02, 0.2, 0.6];
/// Exponents (a, b) of the ranks and of D in the over-fitting term from which searches may start.
const RISING: [Option<(f64, f64)>; 6] = [
    Some((0.1, 0.1)),
    Some((0.1, 0.5)),
    Some((0.1, 1.0)),
    Some((0.5, 0.1)),
    Some((0.5, 0.5)),
    Some((0.5, 1.0)),
];
/// Number of starts searched: those of least cost before the search.
const STARTS: usize = 18;

/// The shape of Law-P.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Form {
    /// The published law. Monotone in every rank, so its best rank is always an end of the range.
    Published,
    /// The published law with one exponent for the ranks of all modules (ours). N times it is how perplexity falls when all
    /// ranks rise together; how much each module has in it is not known.
    Tied,
    /// With the over-fitting term (ours). 2 N + 5 parameters for N modules.
    Overfit,
    /// A quadratic surface in the logarithms of the ranks (ours), solved in closed form.
    Surface,
}

impl Form {
    /// Every form that tells modules apart, simplest first.
    pub const ALL: [Self; 3] = [Self::Published, Self::Overfit, Self::Surface];

    /// `published`, `tied`, `overfit`, `surface`
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Tied => "tied",
            Self::Overfit => "overfit",
            Self::Surface => "surface",
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Form {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        [&Self::ALL[..], &[Self::Tied]].concat().into_iter().find(|form| form.as_str() == text).ok_or_else(
            || Error::BadOption {
                name: "form",
                value: text.into(),
                allowed: "`published`, `tied`, `overfit` or `surface`",
            },
        )
    }
}

/// Law-P of a form over named modules: inputs are their ranks in that order, then `samples`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LawPForm {
    /// The shape.
    pub form: Form,
    /// Names of the modules, in the order of the inputs.
    pub modules: Vec<String>,
    /// Whether the surface has its term in D; set it only if the observations have different sizes.
    pub sized: bool,
    /// Whether the published and the tied form have their E; without it they are linear in logarithms. The surface has none, the
    /// over-fitting form always has it.
    #[serde(default = "with_offset")]
    pub offset: bool,
}

/// Laws written before E could be left out have it.
fn with_offset() -> bool {
    true
}

impl LawPForm {
    /// Whether E is one of the parameters.
    fn has_offset(&self) -> bool {
        match self.form {
            Form::Published | Form::Tied => self.offset,
            Form::Overfit => true,
            Form::Surface => false,
        }
    }

    /// The parameters with an exponent for each module, and an E of 0 where there is none.
    pub(crate) fn complete<'a>(&self, parameters: &'a [f64]) -> Cow<'a, [f64]> {
        let each = match self.form {
            Form::Tied => self.modules.len(),
            Form::Published if !self.offset => 1,
            _ => return Cow::Borrowed(parameters),
        };
        let [factor, alpha, rest @ ..] = parameters else { return Cow::Borrowed(parameters) };
        let offset: &[f64] = if self.offset { &[] } else { &[0.0] };
        Cow::Owned([&[*factor], &vec![*alpha; each][..], rest, offset].concat())
    }

    /// ln r_m and ln D; of the tied form, the sum of the former and the latter.
    fn logarithms(&self, input: &[f64]) -> Vec<f64> {
        let logs = input.iter().map(|x| x.ln());
        match self.form {
            Form::Tied => {
                let n = self.modules.len();
                vec![logs.clone().take(n).sum(), logs.skip(n).sum()]
            }
            _ => logs.collect(),
        }
    }

    /// prod r_m^e_m * D^e_D, exponents in the order of the inputs.
    fn product(exponents: &[f64], input: &[f64]) -> f64 {
        exponents.iter().zip(input).map(|(e, x)| e * x.ln()).sum::<f64>().exp()
    }

    /// The terms of the surface: 1, log2 r_m, log2 r_m log2 r_n (m <= n), log2 D.
    fn terms(&self, input: &[f64]) -> Vec<f64> {
        let (ranks, size) = input.split_at(self.modules.len());
        let logs: Vec<f64> = ranks.iter().map(|r| r.log2()).collect();
        let mut terms = vec![1.0];
        terms.extend(&logs);
        for (i, a) in logs.iter().enumerate() {
            terms.extend(logs[i..].iter().map(|b| a * b));
        }
        if self.sized {
            terms.extend(size.iter().map(|d| d.log2()));
        }
        terms
    }
}

impl Law for LawPForm {
    fn name(&self) -> String {
        format!("law-p {}", self.form)
    }

    fn inputs(&self) -> Vec<String> {
        let ranks = self.modules.iter().map(|m| format!("{m}_rank"));
        ranks.chain(["samples".to_string()]).collect()
    }

    fn parameters(&self) -> Vec<Parameter> {
        let free = |name: String| Parameter::new(name, "1", Domain::Free);
        let positive = |name: &str| Parameter::new(name, "1", Domain::Positive);
        let mut parameters = Vec::new();
        if self.form == Form::Surface {
            parameters.push(free("c".into()));
            parameters.extend(self.modules.iter().map(|m| free(format!("c_{m}"))));
            for (i, m) in self.modules.iter().enumerate() {
                parameters.extend(self.modules[i..].iter().map(|n| free(format!("c_{m}_{n}"))));
            }
            if self.sized {
                parameters.push(free("d".into()));
            }
            return parameters;
        }
        parameters.push(positive("A"));
        if self.form == Form::Tied {
            parameters.push(free("alpha".into()));
        } else {
            parameters.extend(self.modules.iter().map(|m| free(format!("alpha_{m}"))));
        }
        parameters.push(free("beta".into()));
        // C prod r_m^a_m D^b is a constant where its exponents approach 0: an unbounded E would diverge against it.
        let floor = if self.form == Form::Overfit { Domain::Positive } else { Domain::NonNegative };
        if self.has_offset() {
            parameters.push(Parameter::new("E", "1", floor));
        }
        if self.form == Form::Overfit {
            parameters.push(positive("C"));
            parameters.extend(self.modules.iter().map(|m| free(format!("a_{m}"))));
            parameters.push(free("b".into()));
        }
        parameters
    }

    fn predict(&self, parameters: &[f64], input: &[f64]) -> f64 {
        let (n, parameters) = (self.modules.len(), self.complete(parameters));
        match self.form {
            Form::Surface => {
                self.terms(input).iter().zip(&*parameters).map(|(t, c)| t * c).sum::<f64>().exp()
            }
            Form::Published | Form::Tied => {
                parameters[0] / Self::product(&parameters[1..n + 2], input) + parameters[n + 2]
            }
            Form::Overfit => {
                parameters[0] / Self::product(&parameters[1..n + 2], input)
                    + parameters[n + 2]
                    + parameters[n + 3] * Self::product(&parameters[n + 4..], input)
            }
        }
    }

    fn gradient(&self, parameters: &[f64], input: &[f64], gradient: &mut [f64]) {
        let (n, parameters) = (self.modules.len(), self.complete(parameters));
        if self.form == Form::Surface {
            let value = self.predict(&parameters, input);
            for (entry, term) in gradient.iter_mut().zip(self.terms(input)) {
                *entry = value * term;
            }
            return;
        }
        let falling = 1.0 / Self::product(&parameters[1..n + 2], input);
        let slopes: Vec<f64> = self.logarithms(input).iter().map(|x| -parameters[0] * falling * x).collect();
        gradient[0] = falling;
        gradient[1..=slopes.len()].copy_from_slice(&slopes);
        if self.has_offset() {
            gradient[slopes.len() + 1] = 1.0;
        }
        if self.form == Form::Overfit {
            let rising = Self::product(&parameters[n + 4..], input);
            gradient[n + 3] = rising;
            for (entry, x) in gradient[n + 4..].iter_mut().zip(input) {
                *entry = parameters[n + 3] * rising * x.ln();
            }
        }
    }

    fn log_linear(&self, input: &[f64]) -> Option<Vec<f64>> {
        match self.form {
            Form::Surface => Some(self.terms(input)),
            _ if self.has_offset() => None,
            _ => {
                let falling = self.logarithms(input).into_iter().map(|x| -x);
                Some([1.0].into_iter().chain(falling).collect())
            }
        }
    }

    /// The most promising of a grid of exponents, the factors at their best non-negative values for each.
    fn starts(&self, points: &[Point]) -> Vec<Vec<f64>> {
        let exponents = |rank: f64, size: f64| [vec![rank; self.modules.len()], vec![size]].concat();
        if self.form == Form::Surface {
            return vec![vec![0.0; self.parameters().len()]];
        }
        let rising: &[Option<(f64, f64)>] = match self.form {
            Form::Overfit => &RISING,
            _ => &[None],
        };
        let mut starts: Vec<(f64, Vec<f64>)> = Vec::new();
        for (beta, alpha) in BETAS.into_iter().flat_map(|beta| ALPHAS.map(|alpha| (beta, alpha))) {
            let falling = exponents(-alpha, -beta);
            for growth in rising {
                let growth = growth.map(|(a, b)| exponents(a, b));
                let terms: Vec<&Vec<f64>> = [&falling].into_iter().chain(&growth).collect();
                let Some((cost, factors)) = best_factors(points, &terms) else { continue };
                let mut start = vec![factors[0]];
                start.extend(if self.form == Form::Tied {
                    vec![alpha, beta]
                } else {
                    exponents(alpha, beta)
                });
                if self.has_offset() {
                    start.push(factors[terms.len()]);
                }
                if let Some(growth) = growth {
                    start.push(factors[1]);
                    start.extend(growth);
                }
                starts.push((cost, start));
            }
        }
        starts.sort_by(|a, b| a.0.total_cmp(&b.0));
        starts.into_iter().take(STARTS).map(|(_, start)| start).collect()
    }
}
