//! Names of runs: equal for equal runs, different for different ones, the same in every version.

use crate::spec;
use mars_calib::{Init, MethodSpec, OptimSpec, RunId, RunSpec, ScaleConvention, Variant};
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn everything_that_determines_the_result_is_in_the_id() {
    let base = spec(8, 16, 50);
    let mut variants = vec![
        base.clone(),
        spec(16, 8, 50),
        spec(8, 0, 50),
        RunSpec { samples: 65, ..base.clone() },
        RunSpec { seed: 8, ..base.clone() },
        RunSpec { batch: 5, ..base.clone() },
        RunSpec { steps: 51, ..base.clone() },
        RunSpec { horizon: 101, ..base.clone() },
        RunSpec { eval_every: 8, ..base.clone() },
        RunSpec { evaluate_from: 8, ..base.clone() },
        RunSpec { stop_when_converged: true, ..base.clone() },
        RunSpec { validation: Some(8), ..base.clone() },
        RunSpec {
            learning_rates: BTreeMap::from([("ve".into(), 2e-3), ("llm".into(), 1e-3)]),
            ..base.clone()
        },
        RunSpec { scale: ScaleConvention::AlphaOverRank { alpha: 2.0 }, ..base.clone() },
        RunSpec { fingerprint: "other data".into(), ..base.clone() },
    ];
    for optim in [
        OptimSpec { warmup: 11, ..base.optim },
        OptimSpec { decay_fraction: 0.31, ..base.optim },
        OptimSpec { weight_decay: 0.1, ..base.optim },
        OptimSpec { beta1: 0.8, ..base.optim },
        OptimSpec { beta2: 0.99, ..base.optim },
        OptimSpec { epsilon: 1e-7, ..base.optim },
        OptimSpec { clip_norm: None, ..base.optim },
    ] {
        variants.push(RunSpec { optim, ..base.clone() });
    }
    let ids: BTreeSet<RunId> = variants.iter().map(RunSpec::id).collect();
    assert_eq!(ids.len(), variants.len());
}

#[test]
fn how_a_run_got_there_is_not_in_the_id() {
    let short = spec(8, 16, 25);
    let long = spec(8, 16, 50);
    assert_eq!(RunSpec { continues: Some(short.id()), ..long.clone() }.id(), long.id());
    assert_eq!(short.lineage(), long.lineage());
    assert_ne!(short.id(), long.id());
    assert_ne!(long.id(), long.lineage());
    assert!(long.continues_from(&short) && !short.continues_from(&long) && !long.continues_from(&long));
    assert!(!long.continues_from(&spec(8, 8, 25)));
}

#[test]
fn ids_survive_storage_and_versions() {
    let spec = RunSpec { fingerprint: "abc".into(), ..spec(8, 16, 50) };
    let json = serde_json::to_string(&spec).unwrap();
    let back: RunSpec = serde_json::from_str(&json).unwrap();
    assert_eq!(back, spec);
    assert_eq!(back.id(), spec.id());
    assert_eq!(RunId::parse(spec.id().as_str()), Some(spec.id()));
    // If this fails, every campaign that exists would be done again: keep the old form of the hash.
    assert_eq!(spec.id().as_str(), "ace1310424cee994");
}

#[test]
fn observations_of_different_conventions_are_told_apart() {
    let base = spec(8, 16, 50);
    assert_eq!(base.convention(), spec(64, 1, 20).convention());
    assert_eq!(base.convention(), RunSpec { seed: 1, samples: 8, ..base.clone() }.convention());
    for other in [
        RunSpec { scale: ScaleConvention::AlphaOverSqrtRank { alpha: 2.0 }, ..base.clone() },
        RunSpec { batch: 8, ..base.clone() },
        RunSpec { fingerprint: "other model".into(), ..base.clone() },
        RunSpec { optim: OptimSpec { beta2: 0.99, ..base.optim }, ..base.clone() },
    ] {
        assert_ne!(base.convention(), other.convention());
    }
}

#[test]
fn a_spec_out_of_range_names_its_field() {
    let base = spec(8, 16, 50);
    assert!(base.validate().is_ok());
    for (bad, field) in [
        (RunSpec { samples: 0, ..base.clone() }, "samples"),
        (RunSpec { batch: 0, ..base.clone() }, "batch"),
        (RunSpec { steps: 0, ..base.clone() }, "steps"),
        (RunSpec { eval_every: 0, ..base.clone() }, "eval_every"),
        (RunSpec { horizon: 49, ..base.clone() }, "horizon"),
        (spec(0, 0, 50), "ranks"),
        (RunSpec { learning_rates: BTreeMap::from([("ve".into(), 1e-3)]), ..base.clone() }, "learning_rates"),
        (
            RunSpec {
                learning_rates: BTreeMap::from([("ve".into(), f64::NAN), ("llm".into(), 1.0)]),
                ..base.clone()
            },
            "learning_rates",
        ),
        (RunSpec { scale: ScaleConvention::Constant { scale: 0.0 }, ..base.clone() }, "scale"),
        (RunSpec { variant: Variant { dropout: 1.0, ..Variant::default() }, ..base.clone() }, "dropout"),
        (RunSpec { variant: Variant { b_ratio: 0.0, ..Variant::default() }, ..base.clone() }, "b_ratio"),
        (
            RunSpec {
                variant: Variant { dora: true, init: Init::Pissa, ..Variant::default() },
                ..base.clone()
            },
            "run specification: dora is true",
        ),
        (RunSpec { optim: OptimSpec { beta1: 1.0, ..base.optim }, ..base.clone() }, "beta1"),
    ] {
        let error = bad.validate().unwrap_err().to_string();
        assert!(error.contains(field), "{field}: {error}");
    }
}

#[test]
fn a_method_is_part_of_what_a_run_is_and_plain_ids_stay() {
    let plain = spec(8, 16, 50);
    let text = serde_json::to_string(&plain).unwrap();
    assert!(!text.contains("method"), "{text}");
    let mut ids = vec![plain.id()];
    let mut conventions = vec![plain.convention()];
    for method in [MethodSpec::adalora(50), MethodSpec::geolora(50), MethodSpec::hydra_style(50)] {
        let own = RunSpec { method: Some(method), ..plain.clone() };
        let text = serde_json::to_string(&own).unwrap();
        assert_eq!(serde_json::from_str::<RunSpec>(&text).unwrap(), own);
        assert!(text.contains(&format!("\"kind\":\"{}\"", method.name())), "{text}");
        ids.push(own.id());
        conventions.push(own.convention());
    }
    for list in [ids.iter().map(ToString::to_string).collect::<Vec<_>>(), conventions] {
        let distinct: BTreeSet<_> = list.iter().collect();
        assert_eq!(distinct.len(), 4, "{list:?}");
    }
}
