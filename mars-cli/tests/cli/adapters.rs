//! Adapters on disk: layouts, `mars verify`, `mars merge`.

use crate::kit::{SmallTask, assets, json, mars, refused, strs};
use serde_json::Value;
use std::{fs, path::Path};

/// A tuned adapter in the layout.
fn tuned(task: &SmallTask, layout: &str) -> String {
    let out = task.path(layout);
    let more = ["--ranks", "ve=2,llm=4", "--out", &out, "--adapter-layout", layout, "--json"];
    json(&strs(&task.arguments("tune", &more)));
    format!("{out}/adapter")
}

fn evaluated(task: &SmallTask, model: &str, adapter: Option<&str>) -> Value {
    let (data, images) = (task.path("test.json"), assets().join("digits/images.zip"));
    let mut arguments =
        vec!["eval", "--model", model, "--data", &data, "--images", images.to_str().unwrap(), "--json"];
    arguments.extend(adapter.map(|adapter| ["--adapter", adapter]).into_iter().flatten());
    json(&arguments)
}

fn losses(task: &SmallTask, model: &str, adapter: Option<&str>) -> Vec<f64> {
    let samples = evaluated(task, model, adapter)["per_sample"].as_array().unwrap().clone();
    samples.iter().map(|sample| sample["loss"].as_f64().unwrap()).collect()
}

fn assert_close(one: &[f64], other: &[f64]) {
    assert_eq!(one.len(), other.len());
    for (a, b) in one.iter().zip(other) {
        assert!((a - b).abs() <= 1e-4 * (1.0 + a.abs()), "{a} {b}");
    }
}

#[test]
fn tuned_verified_merged_and_taken_off_again() {
    let task = SmallTask::new();
    let model = assets().join("model");
    let base = model.to_str().unwrap();
    let (pattern, uniform) = (tuned(&task, "pattern"), tuned(&task, "uniform"));
    let config = |adapter: &str| -> Value {
        serde_json::from_str(&fs::read_to_string(Path::new(adapter).join("adapter_config.json")).unwrap())
            .unwrap()
    };
    assert_eq!(config(&pattern)["rank_pattern"], serde_json::json!({"vision_model\\..*": 2}));
    assert_eq!(config(&uniform)["rank_pattern"], serde_json::json!({}));
    assert_eq!((&config(&uniform)["r"], &config(&pattern)["r"]), (&4.into(), &4.into()));
    let adapted = losses(&task, base, Some(&pattern));
    assert_close(&adapted, &losses(&task, base, Some(&uniform)));
    let plain = losses(&task, base, None);
    assert!(adapted.iter().zip(&plain).any(|(a, b)| (a - b).abs() > 1e-3), "the adapter does nothing");

    let (data, images) = (task.path("test.json"), assets().join("digits/images.zip"));
    let verified =
        json(&["verify", &pattern, base, "--data", &data, "--images", images.to_str().unwrap(), "--json"]);
    assert_eq!(verified["ok"], true);
    // Answers differ in their tokens, each of which counts alike, as in `mars eval`.
    for (of, adapter) in [("adapter", Some(pattern.as_str())), ("base", None)] {
        let score = evaluated(&task, base, adapter);
        let tokens: Vec<&Value> =
            score["per_sample"].as_array().unwrap().iter().map(|sample| &sample["tokens"]).collect();
        assert!(tokens.iter().any(|count| *count != tokens[0]), "{tokens:?}");
        let [loss, found] = [&score["loss"], &verified["losses"][of]].map(|loss| loss.as_f64().unwrap());
        assert!((loss - found).abs() <= 1e-5 * loss, "{of}: {loss} {found}");
    }
    // The same by the flags that the other commands have, and the base by a name that does not depend on this directory.
    let flags = ["verify", "--adapter", &pattern, "--model", base, "--json"];
    assert_eq!(json(&flags)["tensors"], verified["tensors"]);
    assert!(json(&["verify", &pattern, "--model", base, "--json"])["ok"].as_bool().unwrap());
    refused(&["verify", "--model", base], 2, &["--adapter"]);
    assert!(Path::new(config(&pattern)["base_model_name_or_path"].as_str().unwrap()).is_absolute());
    assert_eq!(
        verified["tensors"].as_u64().unwrap() as usize,
        2 * verified["modules"].as_array().unwrap().len()
    );
    assert!(verified["losses"]["largest_difference"].as_f64().unwrap() < 1e-4);
    assert!(
        verified["cautions"][0].as_str().unwrap().contains("outside of the language model")
            || verified["cautions"].as_array().unwrap().len() > 1
    );

    for (index, adapter) in [&pattern, &uniform].into_iter().enumerate() {
        let out = task.path(&format!("merged{index}"));
        // The embedded weights are in half precision; merged in single precision nothing is lost.
        let done = json(&["merge", adapter, base, "--out", &out, "--dtype", "f32", "--json"]);
        assert_eq!(done["tensors"].as_array().unwrap().len(), verified["modules"].as_array().unwrap().len());
        assert_close(&adapted, &losses(&task, &out, None));
        let again = task.path(&format!("again{index}"));
        json(&["merge", adapter, &out, "--out", &again, "--unmerge", "--json"]);
        assert_close(&plain, &losses(&task, &again, None));
        refused(&["merge", adapter, base, "--out", &out], 2, &["not empty"]);
    }
}

/// Losses that are no numbers, as of weights beyond all measure, do not agree.
#[test]
fn losses_that_are_no_numbers_are_no_proof() {
    let task = SmallTask::new();
    let adapter = tuned(&task, "pattern");
    let path = Path::new(&adapter).join("adapter_model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[header..].chunks_exact_mut(4).for_each(|value| value.copy_from_slice(&1e18_f32.to_le_bytes()));
    fs::write(&path, bytes).unwrap();
    let (base, data) = (assets().join("model"), task.path("test.json"));
    let images = assets().join("digits/images.zip");
    let (base, images) = (base.to_str().unwrap(), images.to_str().unwrap());
    let done = mars(&["verify", &adapter, base, "--data", &data, "--images", images, "--json"]);
    assert_eq!(done.code, Some(1), "{}", done.stderr);
    let told: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((&told["ok"], &told["losses"]["merged"]), (&false.into(), &Value::Null), "{told}");
}

#[test]
fn an_adapter_that_does_not_fit_is_told_name_by_name() {
    let task = SmallTask::new();
    let model = assets().join("model");
    let base = model.to_str().unwrap();
    let adapter = tuned(&task, "pattern");
    let path = Path::new(&adapter).join("adapter_config.json");
    let mut config: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    config["target_modules"] = serde_json::json!(["q_proj"]);
    fs::write(&path, config.to_string()).unwrap();
    let name = "base_model.model.model.text_model.layers.0.mlp.up_proj.lora_A.weight";
    let done = mars(&["verify", &adapter, base]);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(done.stdout.contains(&format!("unexpected {name}")), "{}", done.stdout);
    let done = mars(&["verify", &adapter, base, "--json"]);
    let told: Value = serde_json::from_str(&done.stdout).unwrap();
    assert_eq!((done.code, &told["ok"]), (Some(3), &false.into()));
    assert!(told["unexpected"].as_array().unwrap().contains(&name.into()));
    let out = task.path("merged");
    refused(&["merge", &adapter, base, "--out", &out], 3, &["without a place", "and"]);
    assert!(!Path::new(&out).exists());
    refused(&["merge", &adapter, "/no/such/base", "--out", &out], 3, &["/no/such/base"]);
    refused(&["search", "--adapter-layout", "square"], 2, &["square", "pattern", "uniform"]);
}
