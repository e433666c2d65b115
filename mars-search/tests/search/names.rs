//! Names of policies: parsed, printed, refused.

use crate::kit::{budget, space};
use mars_laws::BalanceOptions;
use mars_search::{FixedRanks, GuidedOptions, Method, PolicySpec, RaceOptions};
use proptest::prelude::*;

#[test]
fn names_survive_printing_and_serialising() {
    for name in [
        "fixed:8x16",
        "fixed:llm=16,ve=8",
        "fixed:llm=16",
        "grid",
        "halving",
        "halving:3",
        "random:6",
        "paper",
        "race",
        "guided",
        "asha",
        "asha:7",
        "surface",
        "surface:9",
        "adalora",
        "geolora",
        "hydra-style",
        "eva",
        "diff-lr",
        "diff-lr:10",
    ] {
        let spec: PolicySpec = name.parse().unwrap();
        assert_eq!(spec.to_string(), name);
        let json = serde_json::to_string(&spec).unwrap();
        assert!(json.starts_with("{\"policy\":"), "{json}");
        assert_eq!(serde_json::from_str::<PolicySpec>(&json).unwrap(), spec);
        assert_eq!(serde_json::from_str::<PolicySpec>(&format!("\"{name}\"")).unwrap(), spec);
        assert_eq!(spec.build(&space(), &budget()).unwrap().name(), name);
    }
    assert_eq!("diff-lr:5".parse::<PolicySpec>().unwrap().to_string(), "diff-lr");
    assert_eq!("halving:2".parse::<PolicySpec>().unwrap().to_string(), "halving");
}

#[test]
fn positions_follow_the_modules_of_the_space() {
    let asked = |name: &str| {
        let spec: PolicySpec = name.parse().unwrap();
        spec.build(&space(), &budget()).unwrap().ask()[0].ranks.clone()
    };
    assert_eq!(asked("fixed:8x16"), asked("fixed:ve=8,llm=16"));
    assert_eq!(asked("fixed:0x16"), asked("fixed:llm=16"));
}

#[test]
fn a_list_keeps_named_ranks_together() {
    let list = PolicySpec::parse_list("fixed:ve=8,llm=16,fixed:8x8, halving,grid,fixed:llm=4").unwrap();
    let names: Vec<_> = list.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["fixed:llm=16,ve=8", "fixed:8x8", "halving", "grid", "fixed:llm=4"]);
    assert!(PolicySpec::parse_list("").is_err());
    assert!(PolicySpec::parse_list("grid,,halving").is_err());
    assert!(PolicySpec::parse_list("grid,llm=8").is_err());
    for (list, twice) in
        [("grid,halving, grid", "`grid`"), ("fixed:ve=8,llm=4,fixed:llm=4,ve=8", "`fixed:llm=4,ve=8`")]
    {
        let error = PolicySpec::parse_list(list).unwrap_err().to_string();
        assert!(error.contains(twice) && error.contains("given twice"), "{list}: {error}");
    }
}

#[test]
fn a_refused_name_says_what_is_accepted() {
    let cases = [
        ("best", "no such policy"),
        ("", "no such policy"),
        ("grid:4", "no settings"),
        ("eva:3", "no settings"),
        ("guided:1.39", "no settings"),
        ("asha:0", ">= 1"),
        ("asha:all", "whole number"),
        ("surface:0", ">= 1"),
        ("fixed:0x0", "adapt no module"),
        ("race:2", "no settings"),
        ("fixed", "ranks are missing"),
        ("fixed:", "not a rank"),
        ("fixed:8x", "not a rank"),
        ("fixed:-8x8", "not a rank"),
        ("fixed:ve=8,16", "not module=rank"),
        ("fixed:ve=8,ve=9", "named twice"),
        ("fixed:ve=0", "adapt no module"),
        ("halving:1", "eta"),
        ("halving:5", "eta"),
        ("random", "missing"),
        ("random:0", ">= 1"),
        ("adalora:4", "no settings"),
        ("diff-lr:0", ">= 1"),
        ("diff-lr:half", "whole number"),
    ];
    for (name, why) in cases {
        let error = name.parse::<PolicySpec>().unwrap_err().to_string();
        assert!(error.contains(why) && error.contains("`fixed:8x16`"), "{name}: {error}");
    }
    assert!(PolicySpec::Halving { eta: 7 }.build(&space(), &budget()).is_err());
    for name in ["fixed:8", "fixed:8x8x8", "fixed:audio=8"] {
        assert!(name.parse::<PolicySpec>().unwrap().build(&space(), &budget()).is_err(), "{name}");
    }
}

#[test]
fn tables_are_read_with_defaults_and_refused_with_unknown_keys_or_bad_values() {
    let read = |json: &str| serde_json::from_str::<PolicySpec>(json);
    for (table, text) in [
        (r#"{"policy": "halving"}"#, "halving"),
        (r#"{"policy": "asha", "workers": 7}"#, "asha:7"),
        (r#"{"policy": "surface"}"#, "surface"),
        (r#"{"policy": "diff-lr"}"#, "diff-lr"),
        (r#"{"policy": "fixed", "ranks": [8, 16]}"#, "fixed:8x16"),
        (r#"{"policy": "fixed", "ranks": {"ve": 8, "llm": 16}}"#, "fixed:llm=16,ve=8"),
        (r#"{"policy": "guided"}"#, "guided"),
    ] {
        assert_eq!(read(table).unwrap(), text.parse().unwrap(), "{table}");
    }
    let options = GuidedOptions { fine_tunes: 2.0, ..GuidedOptions::default() };
    assert_eq!(read(r#"{"policy": "guided", "fine_tunes": 2.0}"#).unwrap(), PolicySpec::Guided(options));
    for (table, why) in [
        (r#"{"policy": "best"}"#, "unknown variant `best`"),
        (r#"{"policy": "grid", "eta": 2}"#, "unknown field `eta`"),
        (r#"{"policy": "guided", "fine_tune": 2.0}"#, "unknown field `fine_tune`"),
        (r#"{"policy": "race", "error_rate": 0.1}"#, "unknown field `error_rate`"),
        (r#"{"policy": "random"}"#, "missing field `trials`"),
        (r#"{"policy": "halving", "eta": 7}"#, "policy `halving:7`: eta is 7"),
        (r#"{"policy": "guided", "fine_tunes": 0.5}"#, "policy `guided`"),
        (r#""eva:3""#, "no settings"),
        ("3", "a policy as text"),
    ] {
        let error = read(table).unwrap_err().to_string();
        assert!(error.contains(why), "{table}: {error}");
    }
}

fn options() -> impl Strategy<Value = BalanceOptions> {
    (0.1..10.0, -1.0..1.0, 0.1..9.0, 0.01..0.99).prop_map(|(kappa, min_r2_log, max_octaves, level)| {
        BalanceOptions { kappa, min_r2_log, max_octaves, level, ..BalanceOptions::default() }
    })
}

fn policies() -> impl Strategy<Value = PolicySpec> {
    let guided = (1.0..50.0, 0.001..0.999, 0.0..0.1, options()).prop_map(
        |(fine_tunes, error_rate, tolerance, balance)| {
            PolicySpec::Guided(GuidedOptions { fine_tunes, error_rate, tolerance, balance })
        },
    );
    let race = (2_usize..=4, 0.0..0.1, options()).prop_map(|(eta, tolerance, balance)| {
        let BalanceOptions { kappa, min_r2_log, max_octaves, level, .. } = balance;
        PolicySpec::Race(RaceOptions { eta, tolerance, kappa, min_r2_log, max_octaves, level })
    });
    let plain = prop_oneof![
        Just(PolicySpec::Grid),
        Just(PolicySpec::Paper),
        prop::collection::vec(1_usize..999, 1..4).prop_map(|r| PolicySpec::Fixed(FixedRanks::Positional(r))),
        prop::collection::btree_map("[a-z]{1,5}", 1_usize..999, 1..4)
            .prop_map(|r| PolicySpec::Fixed(FixedRanks::Named(r.into()))),
        (1_usize..999).prop_map(|trials| PolicySpec::Random { trials }),
        (2_usize..=4).prop_map(|eta| PolicySpec::Halving { eta }),
        (1_usize..999).prop_map(|workers| PolicySpec::Asha { workers }),
        prop::option::of(1_usize..999).prop_map(|runs| PolicySpec::Surface { runs }),
        prop_oneof![
            Just(Method::AdaLora),
            Just(Method::GeoLora),
            Just(Method::HydraStyle),
            Just(Method::Eva)
        ]
        .prop_map(PolicySpec::Method),
        (1_u32..999).prop_map(|ratio| PolicySpec::Method(Method::DiffLr(ratio))),
    ];
    prop_oneof![guided, race, plain]
}

proptest! {
    /// Value -> table -> value loses nothing; value -> text -> value loses the options of `guided` and `race` only.
    #[test]
    fn policies_survive_tables_and_text(spec in policies()) {
        let json = serde_json::to_value(&spec).unwrap();
        prop_assert_eq!(serde_json::from_value::<PolicySpec>(json).unwrap(), spec.clone());
        let text = spec.to_string();
        let again: PolicySpec = text.parse().unwrap();
        prop_assert_eq!(again.to_string(), text);
        if !matches!(spec, PolicySpec::Guided(_) | PolicySpec::Race(_)) {
            prop_assert_eq!(again, spec);
        }
    }
}
