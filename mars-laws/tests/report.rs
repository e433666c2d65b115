//! The full report: the acceptance figures, the fields of its JSON form, and the choice of form.
#![allow(clippy::unwrap_used)]
mod common;

use common::{figure_2a, figure_2b};
use mars_laws::*;
use serde_json::Value;

fn request() -> FitRequest {
    let bootstrap = BootstrapOptions { draws: 60, ..BootstrapOptions::default() };
    FitRequest {
        law_c: LawCOptions { bootstrap: bootstrap.clone(), ..LawCOptions::default() },
        law_p: LawPOptions { bootstrap, ..LawPOptions::default() },
        ..FitRequest::default()
    }
}

/// Figure 2a fitted up to 4,096 samples and scored on the larger sizes.
#[test]
fn figure_2a_up_to_4096() {
    let text = include_str!("fixtures/mars_fig2a_perplexity.csv");
    let output = analyse_csv(text, &FitRequest { fit_up_to: Some(4096), ..request() }).unwrap();
    let law = output.law_p.as_ref().unwrap();
    let score = |form| law.scores.iter().find(|s| s.form == form).unwrap();
    let (published, overfit) = (score(Form::Published), score(Form::Overfit));
    assert_eq!((published.best_right, published.best_of), (4, 7));
    assert_eq!((overfit.best_right, overfit.best_of), (7, 7));
    assert_eq!(format!("{:.3}", published.rms_larger.unwrap()), "0.184");
    assert_eq!(format!("{:.3}", overfit.rms_larger.unwrap()), "0.066");
    assert_eq!((law.form, law.decided_by, law.points), (Form::Overfit, DecidedBy::Rolling, 20));
    assert_eq!(output.best_rank_by_size.len(), 7);
    assert!(output.best_rank_by_size.iter().all(|best| best.right));
    assert_eq!(output.best_rank_by_size.iter().filter(|best| best.fitted).count(), 5);
    let shown = output.to_string();
    assert!(shown.contains("4 of 7") && shown.contains("7 of 7"), "{shown}");

    let forced = FitRequest { fit_up_to: Some(4096), form: Some(Form::Published), ..request() };
    let output = analyse_csv(text, &forced).unwrap();
    assert_eq!(output.law_p.as_ref().unwrap().form, Form::Published);
    assert_eq!(output.best_rank_by_size.iter().filter(|best| best.right).count(), 4);
}

/// Two modules, so that ranks are balanced.
fn two_modules() -> Observations {
    let mut all =
        Observations { convergence: figure_2b(), performance: figure_2a(), ..Observations::default() };
    let ve = figure_2b().into_iter().map(|o| ConvergenceObservation {
        module: "ve".into(),
        steps: 0.95 * o.steps,
        ..o
    });
    all.convergence.extend(ve);
    all
}

#[test]
fn json_has_the_promised_fields() {
    let output = analyse(&two_modules(), &FitRequest { predict: vec![32768], ..request() }).unwrap();
    let json: Value = serde_json::to_value(&output).unwrap();
    for module in ["ve", "llm"] {
        let law = &json["law_c"][module];
        for field in ["k", "gamma", "delta", "offset", "r2_log"] {
            assert!(law[field].is_f64(), "{module}.{field}");
        }
        let interval = law["interval"]["gamma"].as_array().unwrap();
        assert!(interval[0].as_f64().unwrap() < interval[1].as_f64().unwrap());
        assert_eq!(law["reason"], "converged");
    }
    let law = &json["law_p"];
    assert!(law["form"].is_string() && law["params"]["beta"].is_f64() && law["rms"].is_f64());
    assert_eq!(law["scores"].as_array().unwrap().len(), 3);
    let balanced = json["balanced"].as_array().unwrap();
    assert_eq!(balanced.len(), 4);
    for entry in balanced {
        assert!(entry["llm"].is_u64() && entry["ve"].is_u64(), "{entry}");
        assert!(["solved", "clamped", "fallback"].contains(&entry["outcome"].as_str().unwrap()));
        assert_eq!(entry["interval"].as_array().unwrap().len(), 2);
        assert_eq!(entry["samples"], 32768);
    }
    assert_eq!(json["best_rank_by_size"].as_array().unwrap().len(), 7);
    assert_eq!(json["predictions"][0]["steps"].as_array().unwrap().len(), 8);
    assert_eq!(json["predictions"][0]["perplexity"].as_array().unwrap().len(), 4);
    let back: FitOutput = serde_json::from_value(json).unwrap();
    assert_eq!(back, output);
}

#[test]
fn each_law_is_reported_alone() {
    let times = analyse_csv(include_str!("fixtures/mars_fig2b_convergence.csv"), &request()).unwrap();
    assert!(times.law_p.is_none() && times.balanced.is_empty() && times.best_rank_by_size.is_empty());
    assert_eq!(times.law_c["llm"].points, 28);
    assert_eq!(
        times.unbalanced.as_deref(),
        Some("there is a Law-C of llm alone, and none to balance against it")
    );
    let json = serde_json::to_value(&times).unwrap();
    assert!(json["law_p"].is_null() && json.get("predictions").is_none());
    let few = FitRequest { fit_up_to: Some(8), ..request() };
    let error = analyse_csv(include_str!("fixtures/mars_fig2b_convergence.csv"), &few).unwrap_err();
    assert!(matches!(error, Error::TooFewObservations { found: 0, .. }), "{error}");
}

/// A module with too few points, or too few joint runs, take nothing from the other laws.
#[test]
fn what_is_not_determined_is_told_beside_the_other_laws() {
    let mut all = two_modules();
    let (ve, mut llm): (Vec<_>, Vec<_>) = all.convergence.into_iter().partition(|o| o.module == "ve");
    llm.extend(ve.into_iter().take(2));
    all.convergence = llm;
    all.performance.truncate(2);
    let output = analyse(&all, &request()).unwrap();
    assert_eq!(output.law_c.keys().collect::<Vec<_>>(), ["llm"]);
    assert_eq!((output.law_c["llm"].points, output.law_p.is_none()), (28, true));
    for why in [&output.unfitted["ve"], output.unfitted_law_p.as_ref().unwrap()] {
        assert!(why.starts_with("2 observation(s) for "), "{why}");
    }
    let shown = output.to_string();
    assert!(
        shown.contains("Law-C of ve: none   (2 obs") && shown.contains("Law-P: none   (2 obs"),
        "{shown}"
    );
    let back: FitOutput = serde_json::from_value(serde_json::to_value(&output).unwrap()).unwrap();
    assert_eq!(back, output);
}

/// Four joint runs of two modules determine the tied form alone, and it is not among those that are chosen from.
#[test]
fn a_form_that_is_asked_for_is_fitted_where_no_other_can_be() {
    let run = |rank: usize, samples: usize| {
        let ranks = Ranks::new().with("ve", rank).with("llm", rank);
        PerformanceObservation::new(
            ranks,
            samples,
            2.0 + 40.0 / (rank as f64).sqrt() / (samples as f64).sqrt(),
        )
    };
    let performance = vec![run(4, 64), run(32, 64), run(4, 1024), run(32, 1024)];
    let observations = Observations { performance, ..Observations::default() };
    assert!(analyse(&observations, &request()).is_err());
    let output = analyse(&observations, &FitRequest { form: Some(Form::Tied), ..request() }).unwrap();
    let law = output.law_p.unwrap();
    assert_eq!((law.form, law.decided_by), (Form::Tied, DecidedBy::Request));
    assert!(law.scores.iter().any(|score| score.form == Form::Tied && score.error.is_none()));
}

#[test]
fn a_level_of_balancing_outside_0_to_1_is_refused() {
    for level in [90.0, f64::NAN] {
        let balance = BalanceOptions { level, ..BalanceOptions::default() };
        let error = analyse(&two_modules(), &FitRequest { balance, ..request() }).unwrap_err();
        assert!(matches!(error, Error::BadOption { name: "level", .. }), "{error}");
    }
}

/// What an earlier version wrote is read, and written again as it was.
#[test]
fn fitted_laws_keep_their_json_form() {
    let interval = r#"{"gamma":[-0.42,-0.29],"k":[3.1,null]}"#;
    let law = format!(
        r#"{{"k":4.5,"gamma":-0.36,"delta":0.75,"offset":3.9,"r2_log":0.99,"interval":{interval},"reason":"converged""#
    );
    let summary: LawCSummary = serde_json::from_str(&format!("{law}}}")).unwrap();
    assert_eq!(serde_json::to_string(&summary).unwrap(), format!("{law}}}"));
    assert_eq!(summary.interval["k"], Interval { lo: 3.1, hi: f64::INFINITY });
    let text = format!(r#"{law},"points":28,"rms_log":0.088,"aicc":null}}"#);
    let output: LawCOutput = serde_json::from_str(&text).unwrap();
    assert_eq!((&output.summary, output.points, output.aicc), (&summary, 28, None));
    assert_eq!(serde_json::to_string(&output).unwrap(), text);
    let balanced = r#"{"llm":32,"ve":16,"outcome":"fallback","interval":null,"samples":64,"module":"ve","raw":2.5,"fallback":"ill_conditioned"}"#;
    let output: BalancedOutput = serde_json::from_str(balanced).unwrap();
    assert_eq!(
        (output.outcome, output.fallback),
        (OutcomeKind::Fallback, Some(FallbackReason::IllConditioned))
    );
    assert_eq!(serde_json::to_string(&output).unwrap(), balanced);
}

fn drawn(form: Form, parameters: &[f64], noise: f64) -> Vec<PerformanceObservation> {
    let law = LawPForm { form, modules: vec!["llm".into()], sized: true, offset: true };
    let mut all = Vec::new();
    for (i, rank) in [4_usize, 8, 16, 32, 64].into_iter().enumerate() {
        for (j, size) in (8..15).map(|e| 1_usize << e).enumerate() {
            let wiggle = ((i * 17 + j * 29 + i * j * 7) % 13) as f64 / 6.0 - 1.0;
            let p = law.predict(parameters, &[rank as f64, size as f64]) * (1.0 + noise * wiggle);
            all.push(PerformanceObservation::new(Ranks::new().with("llm", rank), size, p));
        }
    }
    all
}

#[test]
fn the_form_that_made_the_data_is_chosen() {
    let options = LawPOptions::default();
    let falling = drawn(Form::Published, &[60.0, 0.15, 0.5, 2.2], 0.004);
    let chosen = choose_form(&falling, &Form::ALL, &options).unwrap();
    assert_eq!(chosen.form, Form::Published, "{:?}", chosen.scores);
    let turning = drawn(Form::Overfit, &[60.0, 0.15, 0.45, 1.2, 0.05, 0.2, 0.3], 0.004);
    assert_eq!(choose_form(&turning, &Form::ALL, &options).unwrap().form, Form::Overfit);
    let curved = drawn(Form::Surface, &[2.4, -0.3, 0.04, -0.08], 0.004);
    let chosen = choose_form(&curved, &Form::ALL, &options).unwrap();
    assert_eq!((chosen.form, chosen.scores.len()), (Form::Surface, 3), "{:?}", chosen.scores);
    let one_size: Vec<_> = curved.into_iter().filter(|o| o.samples == 1024).collect();
    let chosen = choose_form(&one_size, &Form::ALL, &options).unwrap();
    assert_eq!(
        chosen.form,
        Form::Surface,
        "with one size only the surface is determined: {:?}",
        chosen.scores
    );
    // A fit of one size says nothing of the other, however exact it is.
    let two_sizes: Vec<_> = drawn(Form::Published, &[60.0, 0.15, 0.5, 2.2], 0.004)
        .into_iter()
        .filter(|o| [256, 1024].contains(&o.samples))
        .flat_map(|o| [o.clone(), o])
        .collect();
    let chosen = choose_form(&two_sizes, &Form::ALL, &options).unwrap();
    assert!(chosen.scores.iter().all(|score| score.rolling.is_empty()), "{:?}", chosen.scores);
    assert_ne!(chosen.decided_by, DecidedBy::Rolling);
    assert!(choose_form(&one_size[..1], &Form::ALL, &options).is_err());
    assert!(choose_form(&one_size, &[], &options).is_err());
}
