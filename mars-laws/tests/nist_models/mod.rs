//! The 27 models of the NIST StRD non-linear regression suite, as user-defined laws.
//!
//! Formulas: https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml
use mars_laws::{Domain, Law, Parameter, Point};
use std::f64::consts::PI;

type Model = fn(&[f64], &[f64]) -> f64;

/// One problem: its model, data, starts and certified answer.
pub(crate) struct Problem {
    pub(crate) name: String,
    model: Model,
    pub(crate) points: Vec<Point>,
    pub(crate) starts: [Vec<f64>; 2],
    pub(crate) certified: Vec<f64>,
    pub(crate) deviation: Vec<f64>,
    pub(crate) rss: f64,
}

impl Law for Problem {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn inputs(&self) -> Vec<String> {
        (1..=self.points[0].input.len()).map(|i| format!("x{i}")).collect()
    }

    fn parameters(&self) -> Vec<Parameter> {
        (1..=self.certified.len()).map(|i| Parameter::new(format!("b{i}"), "1", Domain::Free)).collect()
    }

    fn predict(&self, b: &[f64], x: &[f64]) -> f64 {
        (self.model)(b, x)
    }

    fn starts(&self, _: &[Point]) -> Vec<Vec<f64>> {
        self.starts.to_vec()
    }
}

/// All problems, read from the packed fixture.
pub(crate) fn problems() -> Vec<Problem> {
    include_str!("../fixtures/nist_strd.txt")
        .split("\n\n")
        .filter(|s| !s.trim().is_empty())
        .map(problem)
        .collect()
}

fn problem(text: &str) -> Problem {
    let mut lines = text.trim().lines();
    let name = lines.next().unwrap().split(' ').next().unwrap().to_string();
    let numbers = |line: &str| -> Vec<f64> { line.split(' ').filter_map(|w| w.parse().ok()).collect() };
    let mut row = || numbers(lines.next().unwrap());
    let starts = [row(), row()];
    let (certified, deviation, rss) = (row(), row(), row()[0]);
    let mut points: Vec<Point> =
        lines.map(numbers).map(|values| Point::new(values[1..].to_vec(), values[0])).collect();
    if name == "Nelson" {
        points.iter_mut().for_each(|p| p.value = p.value.ln());
    }
    Problem { model: model(&name), name, points, starts, certified, deviation, rss }
}

fn cubic_ratio(b: &[f64], x: f64) -> f64 {
    (b[0] + x * (b[1] + x * (b[2] + x * b[3]))) / (1.0 + x * (b[4] + x * (b[5] + x * b[6])))
}

fn wave(cos: f64, sin: f64, period: f64, x: f64) -> f64 {
    let turn = 2.0 * PI * x / period;
    cos * turn.cos() + sin * turn.sin()
}

fn bell(height: f64, centre: f64, width: f64, x: f64) -> f64 {
    height * (-((x - centre) / width).powi(2)).exp()
}

fn model(name: &str) -> Model {
    match name {
        "Bennett5" => |b, x| b[0] * (b[1] + x[0]).powf(-1.0 / b[2]),
        "BoxBOD" | "Misra1a" => |b, x| b[0] * (1.0 - (-b[1] * x[0]).exp()),
        "Chwirut1" | "Chwirut2" => |b, x| (-b[0] * x[0]).exp() / (b[1] + b[2] * x[0]),
        "DanWood" => |b, x| b[0] * x[0].powf(b[1]),
        "ENSO" => |b, x| {
            b[0] + wave(b[1], b[2], 12.0, x[0]) + wave(b[4], b[5], b[3], x[0]) + wave(b[7], b[8], b[6], x[0])
        },
        "Eckerle4" => |b, x| b[0] / b[1] * (-0.5 * ((x[0] - b[2]) / b[1]).powi(2)).exp(),
        "Gauss1" | "Gauss2" | "Gauss3" => {
            |b, x| b[0] * (-b[1] * x[0]).exp() + bell(b[2], b[3], b[4], x[0]) + bell(b[5], b[6], b[7], x[0])
        }
        "Hahn1" | "Thurber" => |b, x| cubic_ratio(b, x[0]),
        "Kirby2" => |b, x| cubic_ratio(&[b[0], b[1], b[2], 0.0, b[3], b[4], 0.0], x[0]),
        "Lanczos1" | "Lanczos2" | "Lanczos3" => {
            |b, x| (0..3).map(|i| b[2 * i] * (-b[2 * i + 1] * x[0]).exp()).sum()
        }
        "MGH09" => |b, x| b[0] * (x[0] * x[0] + x[0] * b[1]) / (x[0] * x[0] + x[0] * b[2] + b[3]),
        "MGH10" => |b, x| b[0] * (b[1] / (x[0] + b[2])).exp(),
        "MGH17" => |b, x| b[0] + b[1] * (-x[0] * b[3]).exp() + b[2] * (-x[0] * b[4]).exp(),
        "Misra1b" => |b, x| b[0] * (1.0 - (1.0 + b[1] * x[0] / 2.0).powi(-2)),
        "Misra1c" => |b, x| b[0] * (1.0 - (1.0 + 2.0 * b[1] * x[0]).powf(-0.5)),
        "Misra1d" => |b, x| b[0] * b[1] * x[0] / (1.0 + b[1] * x[0]),
        "Nelson" => |b, x| b[0] - b[1] * x[0] * (-b[2] * x[1]).exp(),
        "Rat42" => |b, x| b[0] / (1.0 + (b[1] - b[2] * x[0]).exp()),
        "Rat43" => |b, x| b[0] / (1.0 + (b[1] - b[2] * x[0]).exp()).powf(1.0 / b[3]),
        "Roszman1" => |b, x| b[0] - b[1] * x[0] - (b[2] / (x[0] - b[3])).atan() / PI,
        other => unreachable!("no model for {other}"),
    }
}
