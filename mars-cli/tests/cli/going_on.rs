//! Training that goes on from an adapter.

use crate::kit::{SmallTask, assets, json, mars, refused, strs};
use safetensors::SafeTensors;
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

fn tuned(task: &SmallTask, out: &str, more: &[&str]) -> String {
    let arguments = task.arguments("tune", &[&["--out", out, "--json"], more].concat());
    json(&strs(&arguments));
    format!("{out}/adapter")
}

/// The record of the only run in a directory.
fn record(out: &str) -> Value {
    let runs: Vec<_> =
        fs::read_dir(Path::new(out).join("runs")).unwrap().map(|run| run.unwrap().path()).collect();
    assert_eq!(runs.len(), 1, "{runs:?}");
    let stored: Value = serde_json::from_slice(&fs::read(runs[0].join("result.json")).unwrap()).unwrap();
    stored["record"].clone()
}

fn first_loss(out: &str) -> f64 {
    let curve = record(out)["val"].as_array().unwrap().clone();
    assert_eq!(curve[0]["step"], 0);
    curve[0]["loss"].as_f64().unwrap()
}

fn weights(adapter: &str) -> Vec<u8> {
    fs::read(Path::new(adapter).join("adapter_model.safetensors")).unwrap()
}

/// Loss of base and adapter on the validation data.
fn evaluated(task: &SmallTask, adapter: &str) -> f64 {
    let (model, data, images) =
        (assets().join("model"), task.path("val.json"), assets().join("digits/images.zip"));
    let (model, images) = (model.to_str().unwrap(), images.to_str().unwrap());
    let score = json(&[
        "eval",
        "--model",
        model,
        "--data",
        &data,
        "--images",
        images,
        "--adapter",
        adapter,
        "--json",
    ]);
    score["loss"].as_f64().unwrap()
}

#[test]
fn training_goes_on_where_the_adapter_is() {
    let task = SmallTask::new();
    // Another scale than the default: it is that of the adapter that counts.
    let scale = ["--set", "lora.scale.kind=alpha_over_rank", "--set", "lora.scale.alpha=12"];
    let first = tuned(&task, &task.path("first"), &[&["--ranks", "ve=2,llm=4"], &scale[..]].concat());
    let (second, again) = (task.path("second"), task.path("again"));
    let adapter = tuned(&task, &second, &["--adapter", &first]);
    let (begun, expected) = (first_loss(&second), evaluated(&task, &first));
    assert!((begun - expected).abs() <= 1e-6 * expected, "{begun} {expected}");
    assert!((begun - first_loss(&task.path("first"))).abs() > 1e-3, "it began fresh");
    assert_ne!(weights(&adapter), weights(&first));
    let config = |adapter: &str| -> Value {
        serde_json::from_slice(&fs::read(Path::new(adapter).join("adapter_config.json")).unwrap()).unwrap()
    };
    for field in ["r", "lora_alpha", "rank_pattern", "alpha_pattern", "target_modules"] {
        assert_eq!(config(&adapter)[field], config(&first)[field], "{field}");
    }
    // The same once more, by the ranks and what else is the adapter's, and by the settings of a search.
    let same = ["--adapter", &first, "--ranks", "llm=4,ve=2", "--set", r"lora.targets=.*(proj|fc\d)"];
    let repeated = tuned(&task, &again, &[&same[..], &scale[..]].concat());
    assert_eq!(weights(&repeated), weights(&adapter));
    let searched = task.path("searched");
    let setting = format!("model.adapter={first}");
    let more = ["--out", &searched, "--set", &setting, "--policy", "fixed:ve=2,llm=4", "--json"];
    json(&strs(&task.arguments("search", &more)));
    assert_eq!(weights(&format!("{searched}/adapter")), weights(&adapter));
    assert_eq!(record(&searched)["id"], record(&second)["id"]);
    // What it begins with is a part of what a run is.
    let third = task.path("third");
    tuned(&task, &third, &["--adapter", &adapter]);
    assert_ne!(record(&third)["id"], record(&second)["id"]);
    let expected = evaluated(&task, &adapter);
    assert!((first_loss(&third) - expected).abs() <= 1e-6 * expected);
    // A directory that was begun with another one is not continued.
    let other = task.arguments("tune", &["--out", &second, "--adapter", &adapter]);
    assert_eq!(mars(&strs(&other)).code, Some(2));
}

/// Rows of A and columns of B by the name of their layer, each with whether it is zero throughout.
fn zeros(adapter: &str) -> BTreeMap<String, [Vec<bool>; 2]> {
    let bytes = weights(adapter);
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut all = BTreeMap::new();
    for (name, a) in tensors.iter().filter(|(name, _)| name.ends_with(".lora_A.weight")) {
        let b = tensors.tensor(&name.replace("lora_A", "lora_B")).unwrap();
        let rank = a.shape()[0];
        let zero = |bytes: &[u8]| bytes.iter().all(|byte| byte & 0x7f == 0);
        let rows = a.data().chunks(a.data().len() / rank).map(zero).collect();
        let columns = (0..rank).map(|at| b.data().chunks(4).skip(at).step_by(rank).all(zero)).collect();
        all.insert(name.to_owned(), [rows, columns]);
    }
    all
}

#[test]
fn ranks_that_a_layout_filled_up_are_not_trained_on() {
    let task = SmallTask::new();
    let layout = ["--ranks", "ve=4,llm=2", "--set", "out.adapter_layout=uniform"];
    let filled = tuned(&task, &task.path("filled"), &layout);
    let ranks = |adapter: &str| -> Vec<usize> {
        zeros(adapter).values().map(|[rows, _]| rows.len()).collect::<BTreeSet<_>>().into_iter().collect()
    };
    assert_eq!(ranks(&filled), [4]);
    let model = assets().join("model");
    let verified = mars(&["verify", "--adapter", &filled, "--model", model.to_str().unwrap()]);
    assert!(verified.stdout.contains("4 (2 without zeros)"), "{}", verified.stdout);
    let second = task.path("second");
    // Its ranks are those that it was trained at: named and not named.
    let named = task.path("named");
    tuned(&task, &named, &["--adapter", &filled, "--ranks", "ve=4,llm=2"]);
    let adapter = tuned(&task, &second, &["--adapter", &filled]);
    assert_eq!(record(&named)["id"], record(&second)["id"]);
    let (begun, expected) = (first_loss(&second), evaluated(&task, &filled));
    assert!((begun - expected).abs() <= 1e-6 * expected, "{begun} {expected}");
    assert_eq!(ranks(&adapter), [2, 4]);
    for (name, [rows, columns]) in zeros(&adapter) {
        assert!(!rows.contains(&true) && !columns.contains(&true), "{name}: {rows:?} {columns:?}");
    }
}

/// Settings of a search that this fine-tune is not have no say: no module is balanced against another.
#[test]
fn an_adapter_of_one_module_needs_no_reference() {
    let task = SmallTask::new();
    let one = ["--set", "lora.modules=[\"ve\"]"];
    let first = tuned(&task, &task.path("first"), &[&["--ranks", "ve=2"], &one[..]].concat());
    let second = task.path("second");
    let adapter = tuned(&task, &second, &[&["--adapter", &first], &one[..]].concat());
    assert_ne!(weights(&adapter), weights(&first));
    assert_eq!(record(&second)["spec"]["ranks"], serde_json::json!({"ve": 2}));
}

#[test]
fn what_contradicts_the_adapter_is_refused() {
    let task = SmallTask::new();
    let first = tuned(&task, &task.path("first"), &["--ranks", "ve=2,llm=4"]);
    let out = task.path("out");
    let tune =
        |more: &[&str]| task.arguments("tune", &[&["--out", &out, "--adapter", &first], more].concat());
    refused(&strs(&tune(&["--ranks", "ve=4,llm=4"])), 2, &["llm=4,ve=4", "llm=4,ve=2"]);
    refused(&strs(&tune(&["--ranks", "llm=4"])), 2, &["llm=4,ve=2"]);
    refused(&strs(&tune(&["--set", "lora.dora=true"])), 2, &["lora.dora is true"]);
    refused(&strs(&tune(&["--set", "lora.init=eva"])), 2, &["lora.init"]);
    refused(&strs(&tune(&["--set", "lora.scale.scale=7"])), 2, &["lora.scale is", "7", "default"]);
    refused(&strs(&tune(&["--set", "lora.scale.kind=alpha_over_rank"])), 2, &["lora.scale is", "16"]);
    refused(&strs(&tune(&["--set", "lora.targets=.*q_proj"])), 2, &["lora.targets is `.*q_proj`", "adapts"]);
    refused(&strs(&tune(&["--trainer", "true {out}"])), 2, &["model.adapter"]);
    let setting = format!("model.adapter={first}");
    let search = task.arguments("search", &["--out", &out, "--set", &setting]);
    refused(&strs(&search), 2, &["nothing to search", "fixed:llm=4,ve=2"]);
    let model = assets().join("model");
    let model = model.to_str().unwrap();
    let wrong = |adapter: &str| task.arguments("tune", &["--out", &out, "--adapter", adapter]);
    refused(&strs(&wrong(model)), 3, &["folder of a model"]);
    refused(&strs(&wrong("/no/such/adapter")), 3, &["no such folder"]);
    refused(&strs(&task.arguments("tune", &["--out", &out])), 2, &["--ranks"]);
}
