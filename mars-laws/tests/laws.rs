//! Every law's gradient against finite differences, and its declared shape.
use mars_laws::*;

/// A law seen only through its predictions, so that the gradient is the default one.
struct Bare<'a>(&'a dyn Law);

impl Law for Bare<'_> {
    fn name(&self) -> String {
        self.0.name()
    }
    fn inputs(&self) -> Vec<String> {
        self.0.inputs()
    }
    fn parameters(&self) -> Vec<Parameter> {
        self.0.parameters()
    }
    fn predict(&self, parameters: &[f64], input: &[f64]) -> f64 {
        self.0.predict(parameters, input)
    }
    fn starts(&self, _: &[Point]) -> Vec<Vec<f64>> {
        Vec::new()
    }
}

#[test]
fn gradients_are_the_slopes_of_the_predictions() {
    let form = |form, n: usize| LawPForm {
        form,
        modules: (0..n).map(|i| format!("m{i}")).collect(),
        sized: true,
        offset: true,
    };
    let laws: Vec<Box<dyn Law>> = vec![
        Box::new(LawCForm { offset: false }),
        Box::new(LawCForm { offset: true }),
        Box::new(PowerLaw),
        Box::new(form(Form::Published, 1)),
        Box::new(form(Form::Published, 3)),
        Box::new(form(Form::Tied, 1)),
        Box::new(form(Form::Tied, 3)),
        Box::new(LawPForm { offset: false, ..form(Form::Published, 2) }),
        Box::new(LawPForm { offset: false, ..form(Form::Tied, 2) }),
        Box::new(form(Form::Overfit, 2)),
        Box::new(form(Form::Surface, 1)),
        Box::new(form(Form::Surface, 3)),
        Box::new(LawPForm { sized: false, ..form(Form::Surface, 2) }),
    ];
    for law in &laws {
        let law = law.as_ref();
        let count = law.parameters().len();
        let parameters: Vec<f64> = (0..count).map(|i| 0.3 + 0.17 * (i as f64 * 1.7).sin()).collect();
        for seed in 1..5 {
            let input: Vec<f64> = (0..law.inputs().len()).map(|i| (seed * (i + 2)) as f64).collect();
            let (mut exact, mut numeric) = (vec![0.0; count], vec![0.0; count]);
            law.gradient(&parameters, &input, &mut exact);
            Bare(law).gradient(&parameters, &input, &mut numeric);
            for (a, b) in exact.iter().zip(&numeric) {
                assert!((a - b).abs() <= 1e-7 * (1.0 + a.abs()), "{} at {input:?}: {a} {b}", law.name());
            }
            if let Some(terms) = law.log_linear(&input) {
                let free = |(p, named): (&f64, Parameter)| {
                    if named.domain == Domain::Positive { p.ln() } else { *p }
                };
                let coefficients = parameters.iter().zip(law.parameters()).map(free);
                let log: f64 = terms.iter().zip(coefficients).map(|(t, c)| t * c).sum();
                assert!((log - law.predict(&parameters, &input).ln()).abs() < 1e-12, "{}", law.name());
            }
        }
    }
}

/// A bounded parameter stays within its bounds and is found inside them.
#[test]
fn bounds_hold() {
    struct Share;
    impl Law for Share {
        fn name(&self) -> String {
            "share".into()
        }
        fn inputs(&self) -> Vec<String> {
            vec!["x".into()]
        }
        fn parameters(&self) -> Vec<Parameter> {
            vec![Parameter::new("s", "1", Domain::Between(0.2, 0.8))]
        }
        fn predict(&self, parameters: &[f64], input: &[f64]) -> f64 {
            parameters[0] * input[0]
        }
        fn starts(&self, _: &[Point]) -> Vec<Vec<f64>> {
            vec![vec![0.5]]
        }
    }
    for (slope, wanted) in [(0.35, 0.35), (0.05, 0.2), (3.0, 0.8)] {
        let points: Vec<Point> = (1..6).map(|x| Point::new(vec![x as f64], slope * x as f64)).collect();
        let found = fit(&Share, &points, &FitOptions::default()).expect("five points for one parameter");
        assert!((found.parameters[0] - wanted).abs() < 1e-3, "{slope}: {:?}", found.parameters);
        assert!((0.2..=0.8).contains(&found.parameters[0]));
    }
}
