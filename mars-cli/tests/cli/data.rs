//! Data sets as the command sees them: the check, formats, parts, and samples that are too long.

use crate::kit::{SmallTask, assets, json, mars, refused, strs};
use serde_json::json;
use std::fs;

#[test]
fn a_check_draws_lengths_and_sizes() {
    let (digits, model) = (assets().join("digits"), assets().join("model"));
    let (data, images) = (digits.join("val.json"), digits.join("images.zip"));
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let (data, images, model) = (path(&data), path(&images), path(&model));
    let arguments = ["data", "check", "--data", &data, "--images", &images, "--model", &model];
    let text = mars(&arguments).stdout;
    let bars: Vec<&str> = text.lines().filter(|line| line.ends_with('#')).collect();
    assert!(!bars.is_empty() && bars.iter().any(|bar| bar.ends_with(&"#".repeat(40))), "{text}");
    assert!(text.contains("different images: width") && text.contains("no problem found"), "{text}");

    let report = json(&[arguments.as_slice(), &["--json"]].concat());
    let bins = report["token_histogram"].as_array().unwrap();
    assert_eq!(bins.len(), bars.len(), "each bin that holds samples is a bar: {text}");
    assert_eq!(bins.iter().map(|bin| bin["count"].as_u64().unwrap()).sum::<u64>(), 256);
    assert_eq!(report["samples"], 256);
    let sizes = &report["image_sizes"];
    assert!(sizes["count"].as_u64() <= report["image_uses"].as_u64(), "{sizes}");
    assert!(sizes["width"]["min"].as_u64() > Some(0) && sizes["bytes"]["sum"].as_u64() > Some(0), "{sizes}");
    let bare = mars(&arguments[..6]).stdout;
    assert!(bare.contains("give --model") && !bare.contains('#'), "{bare}");
}

/// A folder as ScienceQA is published, with pictures of digits.
fn science_qa(task: &SmallTask) -> String {
    let folder = task.directory.path().join("ScienceQA");
    let image = image_bytes();
    let mut problems = serde_json::Map::new();
    let mut splits = json!({"train": [], "val": [], "test": []});
    for (split, count) in [("train", 12), ("val", 4), ("test", 5)] {
        for k in 0..count {
            let pid = format!("{}", problems.len() + 1);
            let pictured = k % 2 == 0;
            if pictured {
                let place = folder.join("images").join(split).join(&pid);
                fs::create_dir_all(&place).unwrap();
                fs::write(place.join("image.png"), &image).unwrap();
            }
            let question = format!("what digit is {}?", problems.len());
            let problem = json!({"question": question, "choices": ["one", "two"], "answer": k % 2, "hint": "",
                "image": pictured.then_some("image.png"), "lecture": "", "solution": "", "split": split});
            splits[split].as_array_mut().unwrap().push(pid.clone().into());
            problems.insert(pid, problem);
        }
    }
    let write = |name: &str, text: String| fs::write(folder.join(name), text).unwrap();
    write("problems.json", serde_json::to_string_pretty(&problems).unwrap());
    write("pid_splits.json", splits.to_string());
    folder.to_str().unwrap().to_owned()
}

/// A picture that the embedded model takes.
fn image_bytes() -> Vec<u8> {
    fs::read(assets().join("../mars-vlm/tests/fixtures/processor/images/square.png")).unwrap()
}

#[test]
fn science_qa_is_trained_on_by_its_own_parts() {
    let task = SmallTask::new();
    let (data, model) = (science_qa(&task), assets().join("model"));
    let model = model.to_str().unwrap();
    let report = json(&["data", "check", "--data", &data, "--model", model, "--json"]);
    assert_eq!((&report["samples"], &report["text_only"]), (&21.into(), &10.into()), "{report}");
    let part = format!("{data}#test");
    assert_eq!(json(&["data", "check", "--data", &part, "--json"])["samples"], 5);

    let plan = json(&["plan", "--model", model, "--data", &data, "--set", "train.batch=2", "--json"]);
    assert_eq!(plan["samples"], 12, "the part `train`");
    let with = |more: &[&str]| {
        let common = ["eval", "--model", model, "--data", &part, "--json"];
        json(&[common.as_slice(), more].concat())
    };
    let (long, short) = (with(&[]), with(&["--set", "data.scienceqa=QCM-LEPA"]));
    assert_eq!((&long["samples"], &short["samples"]), (&5.into(), &5.into()));
    assert_ne!(long["tokens"], short["tokens"], "other answers");
    refused(&["data", "check", "--data", &format!("{data}#dev")], 3, &["\"dev\"", "train, val, test"]);
    refused(&["eval", "--set", "data.scienceqa=QCM"], 2, &["\"QCM\"", "LEA"]);
    refused(&["eval", "--set", "data.format=csv"], 2, &["\"csv\"", "scienceqa"]);
    refused(&["data", "check", "--data", &data, "--set", "data.format=json"], 3, &["ScienceQA"]);
}

#[test]
fn long_samples_are_an_error_or_left_out_by_name() {
    let task = SmallTask::new();
    let sample = |id: &str, question: String| {
        json!({"id": id, "conversations": [
            {"from": "human", "value": question}, {"from": "gpt", "value": "one"}]})
    };
    let mut all: Vec<_> =
        (0..6).map(|k| sample(&format!("short{k}"), format!("say {}", "left ".repeat(k)))).collect();
    all.insert(2, sample("endless", "say left ".repeat(60)));
    fs::write(task.path("train.json"), serde_json::Value::from(all).to_string()).unwrap();
    let plan = |more: &[&str]| {
        let mut arguments = task.arguments(
            "plan",
            &["--json", "--set", "data.max_tokens=60", "--set", "calibration.sizes=[2,6]"],
        );
        arguments.extend(more.iter().map(|argument| (*argument).to_owned()));
        arguments
    };
    refused(&strs(&plan(&[])), 3, &["endless", "at most 60 tokens"]);
    let left_out = plan(&["--set", "data.too_long=drop"]);
    let done = mars(&strs(&left_out));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(
        done.stderr.contains("1 of 7 samples are left out") && done.stderr.contains("endless"),
        "{}",
        done.stderr
    );
    assert_eq!(json(&strs(&left_out))["samples"], 6);
    refused(&strs(&plan(&["--set", "data.too_long=cut"])), 2, &["data.too_long", "drop"]);
    refused(
        &[
            "data",
            "check",
            "--data",
            &task.path("train.json"),
            "--set",
            "data.max_tokens=60",
            "--model",
            assets().join("model").to_str().unwrap(),
        ],
        3,
        &["1 of 7 samples"],
    );
    // Where all are too long, their lengths say what would do.
    let (train, model) = (task.path("train.json"), assets().join("model"));
    let check = ["data", "check", "--data", &train, "--model", model.to_str().unwrap()];
    let counted = mars(&[&check[..], &["--set", "data.max_tokens=1"]].concat()).stdout;
    assert!(counted.contains("7 problems") && counted.contains("  tokens: "), "{counted}");
    assert!(!counted.contains("not counted"), "{counted}");
}

#[test]
fn a_parquet_file_is_read_if_the_program_was_built_for_it() {
    let table = assets().join("../mars-vlm/tests/fixtures/parquet/conversations.parquet");
    let table = table.to_str().unwrap();
    if cfg!(feature = "parquet") {
        assert_eq!(json(&["data", "check", "--data", table, "--json"])["samples"], 3);
    } else {
        refused(&["data", "check", "--data", table], 3, &["conversations.parquet", "--features parquet"]);
    }
}
