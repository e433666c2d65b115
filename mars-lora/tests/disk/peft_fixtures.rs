//! Adapters that PEFT wrote (`tests/oracle/peft_fixtures.py`), merged by PEFT and here.

use crate::kit::load;
use mars_lora::merge::{Direction, MergeOptions, ModelNames, inspect, merge};
use mars_lora::{AdaptedModule, Error};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/peft")
}

const CASES: [&str; 15] = [
    "all_linear",
    "bf16",
    "dora",
    "embedding_and_convolution",
    "exclude_list",
    "exclude_regex",
    "f16",
    "head",
    "layers",
    "list",
    "named",
    "one_layer",
    "rank_pattern",
    "regex",
    "rslora",
];

fn names() -> ModelNames {
    let module = |name: &str, pattern: &str| AdaptedModule { name: name.into(), pattern: pattern.into() };
    let modules = vec![module("ve", r"vision\..*"), module("llm", r"text\..*")];
    ModelNames { modules, ..ModelNames::default() }
}

#[test]
fn every_fixture_has_its_test() {
    let there: BTreeSet<String> = std::fs::read_dir(fixtures())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "base")
        .collect();
    assert_eq!(there, CASES.iter().map(|name| (*name).to_string()).collect());
}

#[test]
fn merged_weights_are_those_of_peft() {
    let base = load(&fixtures().join("base/model.safetensors"));
    let names = names();
    for case in CASES {
        let expected = load(&fixtures().join(case).join("merged.safetensors"));
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("merged");
        let options = MergeOptions { names: &names, dtype: None, direction: Direction::Merge };
        let done =
            merge(&fixtures().join(case), &fixtures().join("base"), &out, &options, &mut |_, _| ()).unwrap();
        assert_eq!(done.tensors.len(), expected.len(), "{case}");
        let merged = load(&out.join("model.safetensors"));
        assert_eq!(merged.len(), base.len());
        for (name, (shape, values)) in &merged {
            let (expected_shape, expected) = expected.get(name).unwrap_or(&base[name]);
            assert_eq!(shape, expected_shape);
            for (one, other) in values.iter().zip(expected) {
                assert!((one - other).abs() <= 1e-6, "{case}: {name}: {one} {other}");
            }
        }
    }
}

#[test]
fn taking_off_gives_the_base_back() {
    let base = load(&fixtures().join("base/model.safetensors"));
    let names = names();
    for case in CASES {
        let dir = tempfile::tempdir().unwrap();
        let (merged, again) = (dir.path().join("merged"), dir.path().join("again"));
        let adapter = fixtures().join(case);
        let on = MergeOptions { names: &names, dtype: None, direction: Direction::Merge };
        let off = MergeOptions { direction: Direction::Unmerge, ..on };
        merge(&adapter, &fixtures().join("base"), &merged, &on, &mut |_, _| ()).unwrap();
        let result = merge(&adapter, &merged, &again, &off, &mut |_, _| ());
        if ["dora", "named"].contains(&case) {
            assert!(matches!(result, Err(Error::Variant { .. })), "{case}: {result:?}");
            assert!(!again.exists());
            continue;
        }
        result.unwrap();
        for (name, (_, values)) in load(&again.join("model.safetensors")) {
            for (one, other) in values.iter().zip(&base[&name].1) {
                assert!((one - other).abs() <= 1e-6, "{case}: {name}: {one} {other}");
            }
        }
    }
}

#[test]
fn modules_are_counted_by_their_parts() {
    let of = |case: &str| inspect(&fixtures().join(case), &fixtures().join("base"), &names()).unwrap();
    let count = |case: &str, module: &str| of(case).modules.iter().filter(|m| m.module == module).count();
    assert_eq!((count("list", "ve"), count("list", "llm")), (8, 12));
    assert_eq!((count("exclude_regex", "ve"), count("exclude_regex", "llm")), (0, 12));
    assert_eq!((count("head", "other"), count("head", "llm")), (1, 3));
    let kinds: BTreeSet<&str> = of("embedding_and_convolution").modules.iter().map(|m| m.kind).collect();
    assert_eq!(kinds, BTreeSet::from(["linear", "embedding", "convolution"]));

    let ranks = of("rank_pattern");
    let rank = |path: &str| ranks.modules.iter().find(|m| m.path == path).map(|m| (m.rank, m.scale)).unwrap();
    assert_eq!(rank("vision.layers.1.attn.q_proj"), (2, 4.0));
    assert_eq!(rank("vision.layers.0.attn.q_proj"), (3, 2.5 / 3.0));
    assert_eq!(rank("vision.layers.1.mlp.fc2"), (3, 5.0 / 3.0));
    assert_eq!(rank("text.layers.2.mlp.fc2"), (1, 5.0));
    assert_eq!(rank("text.layers.2.mlp.fc1"), (4, 2.0));
    assert_eq!(rank("text.layers.1.attn.q_proj"), (2, 4.0));
}

#[test]
fn other_programs_differences_are_told() {
    let cautions =
        |case: &str| inspect(&fixtures().join(case), &fixtures().join("base"), &names()).unwrap().cautions;
    let says = |case: &str, parts: &[&str]| {
        let all = cautions(case).join("\n");
        parts.iter().all(|part| all.contains(part))
    };
    assert!(says("rank_pattern", &["vLLM ignores rank_pattern", "llama.cpp", "uniform"]));
    assert!(says("rslora", &["llama.cpp"]) && !says("rslora", &["vLLM ignores"]));
    assert!(says("dora", &["vLLM refuses DoRA"]));
    assert!(says("list", &["8 of 20 modules are outside of the language model"]));
    assert_eq!(cautions("exclude_regex"), Vec::<String>::new());
}
