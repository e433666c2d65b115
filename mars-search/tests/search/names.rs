//! Names of policies: parsed, printed, refused.

use crate::kit::{budget, space};
use mars_search::PolicySpec;

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
        assert_eq!(json, format!("\"{name}\""));
        assert_eq!(serde_json::from_str::<PolicySpec>(&json).unwrap(), spec);
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
}

#[test]
fn a_refused_name_says_what_is_accepted() {
    let cases = [
        ("best", "no such policy"),
        ("", "no such policy"),
        ("grid:4", "no settings"),
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
    for name in ["fixed:8", "fixed:8x8x8", "fixed:audio=8", "fixed:0x0"] {
        assert!(name.parse::<PolicySpec>().unwrap().build(&space(), &budget()).is_err(), "{name}");
    }
}
