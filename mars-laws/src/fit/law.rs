//! What can be fitted: a function of known inputs with named parameters, its prediction and its gradient.

use super::Domain;
use serde::{Deserialize, Serialize};

/// One parameter of a law.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parameter {
    /// Its symbol, as in the formula.
    pub name: String,
    /// Its unit (`steps`, `1`, ...).
    pub unit: String,
    /// Its bounds.
    pub domain: Domain,
}

impl Parameter {
    /// A parameter by name, unit and bounds.
    pub fn new(name: impl Into<String>, unit: impl Into<String>, domain: Domain) -> Self {
        Self { name: name.into(), unit: unit.into(), domain }
    }
}

/// One measured value at known inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The inputs of the law, in its order ([`Law::inputs`]).
    pub input: Vec<f64>,
    /// The measured value, in the unit of the law.
    pub value: f64,
    /// Frequency weight, > 0: a point of weight 2 counts as two equal points.
    pub weight: f64,
}

impl Point {
    /// A point of weight 1.
    pub fn new(input: Vec<f64>, value: f64) -> Self {
        Self { input, value, weight: 1.0 }
    }

    /// The same point with another weight.
    #[must_use]
    pub fn weighted(self, weight: f64) -> Self {
        Self { weight, ..self }
    }
}

/// A function of known inputs with unknown parameters.
///
/// Implement it to fit a form of your own with [`fit`](crate::fit) and to get its intervals from
/// [`bootstrap`](crate::bootstrap). `predict`, `parameters`, `inputs`, `name` and `starts` are required.
///
/// ```
/// use mars_laws::{Domain, FitOptions, Law, Parameter, Point, fit};
///
/// /// Loss that decays over the steps: a exp(-steps / tau).
/// struct Decay;
///
/// impl Law for Decay {
///     fn name(&self) -> String {
///         "decay".into()
///     }
///     fn inputs(&self) -> Vec<String> {
///         vec!["steps".into()]
///     }
///     fn parameters(&self) -> Vec<Parameter> {
///         vec![Parameter::new("a", "nats", Domain::Positive), Parameter::new("tau", "steps", Domain::Positive)]
///     }
///     fn predict(&self, parameters: &[f64], input: &[f64]) -> f64 {
///         parameters[0] * (-input[0] / parameters[1]).exp()
///     }
///     fn starts(&self, points: &[Point]) -> Vec<Vec<f64>> {
///         vec![vec![points[0].value, 10.0], vec![points[0].value, 100.0]]
///     }
/// }
///
/// # fn main() -> Result<(), mars_laws::Error> {
/// let points: Vec<Point> =
///     [0.0, 10.0, 20.0, 40.0].map(|steps| Point::new(vec![steps], 3.0 * (-steps / 25.0_f64).exp())).into();
/// let fitted = fit(&Decay, &points, &FitOptions::default())?;
/// assert!(fitted.reason.is_ok());
/// assert!((fitted.parameters[1] - 25.0).abs() < 1e-6);
/// # Ok(())
/// # }
/// ```
pub trait Law: Sync {
    /// Its name, used in reports and errors.
    fn name(&self) -> String;

    /// Names of the inputs, in the order of [`Point::input`].
    fn inputs(&self) -> Vec<String>;

    /// The parameters, in the order in which every other method takes them.
    fn parameters(&self) -> Vec<Parameter>;

    /// The value at an input.
    fn predict(&self, parameters: &[f64], input: &[f64]) -> f64;

    /// Writes d predict / d parameter into `gradient`, one entry for each parameter.
    ///
    /// The default takes central differences with a relative step of 6e-6, accurate to about 9 digits.
    fn gradient(&self, parameters: &[f64], input: &[f64], gradient: &mut [f64]) {
        let mut at = parameters.to_vec();
        for i in 0..at.len() {
            let step = 6e-6 * parameters[i].abs().max(1e-8);
            at[i] = parameters[i] + step;
            let above = self.predict(&at, input);
            at[i] = parameters[i] - step;
            let below = self.predict(&at, input);
            at[i] = parameters[i];
            gradient[i] = (above - below) / (2.0 * step);
        }
    }

    /// The coefficients of the parameters in ln(predict) at an input, if ln(predict) is linear in them; a
    /// [`Domain::Positive`] parameter enters by its logarithm. `None` by default: not linear.
    ///
    /// A law that returns them is solved in closed form when fitted to logarithms with the plain loss.
    fn log_linear(&self, _input: &[f64]) -> Option<Vec<f64>> {
        None
    }

    /// Parameter vectors from which to search: several, spread over what is plausible for these points.
    fn starts(&self, points: &[Point]) -> Vec<Vec<f64>>;
}
