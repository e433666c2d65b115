//! The main job on a small task, and everything that can be done with what it leaves.

use crate::kit::{SmallTask, assets, json, json_of_embedded, mars, mars_of_embedded, refused, strs};
use serde_json::Value;
use std::{fs, path::Path};

#[test]
fn a_search_leaves_an_adapter_a_report_and_a_campaign_to_work_with() {
    let task = SmallTask::new();
    let out = task.path("out");
    let arguments = task.arguments("search", &["--policy", "paper", "--out", &out, "--json"]);
    let first = mars(&strs(&arguments));
    assert_eq!(first.code, Some(0), "{}", first.stderr);
    let summary: Value = serde_json::from_str(&first.stdout).unwrap();
    for rank in ["ve", "llm"] {
        assert!([2, 4].contains(&summary["ranks"][rank].as_u64().unwrap()), "{summary}");
    }
    assert!(["solved", "clamped", "fallback"].contains(&summary["outcome"].as_str().unwrap()));
    assert!(summary["cost"]["fine_tunes"].as_f64().unwrap() >= 1.0);
    assert!(summary["reason"].as_str().unwrap().len() > 20);
    for file in [
        "adapter/adapter_model.safetensors",
        "adapter/adapter_config.json",
        "adapter/mars_search.json",
        "decision.json",
        "report.json",
        "campaign.toml",
    ] {
        assert!(Path::new(&out).join(file).is_file(), "{file}");
    }
    let page = fs::read_to_string(summary["report"].as_str().unwrap()).unwrap();
    assert!(page.contains("<svg") && page.contains("llm"));

    // The adapter on disk is the one that was measured.
    let model = assets().join("model");
    let images = assets().join("digits/images.zip");
    let test = task.path("test.json");
    let common = [
        "eval",
        "--model",
        model.to_str().unwrap(),
        "--data",
        &test,
        "--images",
        images.to_str().unwrap(),
        "--json",
    ];
    let adapter = ["--adapter", summary["adapter"].as_str().unwrap(), "--exchange-images"];
    let tuned = json(&[&common[..], &adapter].concat());
    let near =
        |value: &Value, expected: &Value| (value.as_f64().unwrap() - expected.as_f64().unwrap()).abs() < 1e-6;
    assert!(near(&tuned["perplexity"], &summary["test"]["perplexity"]), "{tuned} {summary}");
    assert!(near(&json(&common)["perplexity"], &summary["base"]["perplexity"]));
    let samples = tuned["per_sample"].as_array().unwrap();
    let tokens: u64 = samples.iter().map(|one| one["tokens"].as_u64().unwrap()).sum();
    let loss: f64 =
        samples.iter().map(|one| one["loss"].as_f64().unwrap() * one["tokens"].as_f64().unwrap()).sum();
    assert_eq!((samples.len(), Some(tokens)), (12, tuned["tokens"].as_u64()));
    assert!((loss / tokens as f64 - tuned["loss"].as_f64().unwrap()).abs() < 1e-9);

    // With the images of other samples, all of which have one.
    let exchanged = json(&[&common[..], &["--exchange-images"]].concat());
    let (with_others, own) = (&exchanged["exchanged_images"], exchanged["loss"].as_f64().unwrap());
    let rise = with_others["loss"].as_f64().unwrap() - own;
    assert!((with_others["difference"].as_f64().unwrap() - rise).abs() < 1e-9 && rise != 0.0, "{exchanged}");
    assert!(
        with_others["samples"] == 12 && with_others["standard_error"].as_f64().unwrap() > 0.0,
        "{exchanged}"
    );
    // The search has told the same of the adapter on all its test samples.
    let (told, evaluated) = (&summary["exchanged_images"], &tuned["exchanged_images"]);
    assert!(near(&told["difference"], &evaluated["difference"]), "{told} {evaluated}");
    assert!(near(&told["loss"], &evaluated["loss"]) && told["samples"] == 12, "{told} {evaluated}");

    // Once more: nothing is trained again, and the result is the same.
    let again = mars(&strs(&arguments));
    assert!(again.stderr.contains("are already done"), "{}", again.stderr);
    assert!(!again.stderr.contains("training it again"), "{}", again.stderr);
    assert_eq!(serde_json::from_str::<Value>(&again.stdout).unwrap(), summary);

    // The parts of the job, one by one, on the same campaign.
    let chosen = json(&["choose", "--campaign", &out, "--json"]);
    assert_eq!(chosen["ranks"], summary["ranks"]);
    let runs = json(&["calibrate", "--campaign", &out, "--json"]);
    let alone = runs["runs"].as_array().unwrap().iter().filter(|run| run["role"] == "alone").count();
    assert_eq!(alone, 2 * 2 * 2);
    fs::remove_file(Path::new(&out).join("report.html")).unwrap();
    let drawn = json(&["report", &out, "--svg", &task.path("svg"), "--json"]);
    let pictures = drawn["svg"].as_array().unwrap();
    assert!(pictures.len() > 4 && pictures.iter().all(|path| Path::new(path.as_str().unwrap()).is_file()));
    assert_eq!(fs::read_to_string(Path::new(&out).join("report.html")).unwrap(), page);

    // How long the data last, as far as these few steps tell, and the same once more before another search.
    let overfitting = &summary["overfitting"];
    assert!(overfitting["runs"].as_u64().unwrap() >= 1 && overfitting["samples"] == 48, "{summary}");
    let plan = json(&strs(&task.arguments("plan", &["--policy", "paper", "--out", &out, "--json"])));
    assert_eq!(plan["overfitting"]["runs"], overfitting["runs"]);
    assert_eq!(plan["overfitting"]["ranks"], serde_json::json!({ "ve": 4, "llm": 4 }));
    let words = mars(&strs(&task.arguments("plan", &["--policy", "paper", "--out", &out]))).stdout;
    assert!(words.contains("over-fit") && words.contains("at ranks llm=4,ve=4"), "{words}");
    let elsewhere = json(&strs(&task.arguments("plan", &["--policy", "paper", "--json"])));
    assert!(elsewhere.get("overfitting").is_none());

    // Other settings do not slip in; other paths to the same content do.
    let other = task.arguments("search", &["--policy", "paper", "--out", &out, "--set", "train.batch=2"]);
    refused(&strs(&other), 2, &["train.batch: 4 -> 2"]);

    // Nor do other test data, on which no run depends but the reported score does.
    let test = task.path("test.json");
    let mut samples: Vec<Value> = serde_json::from_str(&fs::read_to_string(&test).unwrap()).unwrap();
    samples.pop();
    fs::write(&test, serde_json::to_string(&samples).unwrap()).unwrap();
    refused(&strs(&arguments), 2, &["fingerprint of test: "]);
}

/// Bare `mars` with the options of a search is that search.
#[test]
fn without_a_command_it_is_a_search() {
    let task = SmallTask::new();
    let out = task.path("out");
    let search = task.arguments("search", &["--policy", "grid", "--out", &out, "--device", "cpu", "--json"]);
    let bare = mars(&strs(&search[1..]));
    assert_eq!(bare.code, Some(0), "{}", bare.stderr);
    assert!(!bare.stderr.contains("embedded"), "another model is not said to be that one: {}", bare.stderr);
    let again = mars(&strs(&search));
    assert!(again.stderr.contains("4 of 4 runs are already done"), "{}", again.stderr);
    assert_eq!(again.stdout, bare.stdout);
}

/// An option in front of another command is not dropped silently.
#[test]
fn options_of_a_search_go_behind_the_command() {
    refused(&["--device", "cpu", "search"], 2, &["mars search --device cpu"]);
    refused(&["--out", "somewhere", "devices"], 2, &["search options must follow the command"]);
    let device = json(&["--json", "--set", "train.batch=3", "config", "--device", "cpu"]);
    assert_eq!((&device["run"]["device"], &device["train"]["batch"]), (&"cpu".into(), &3.into()));
}

/// Copies a folder.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// A campaign of version 0.1.0: model, data and settings are recognised, none of its runs is done again (but for the winner,
/// whose checkpoint is not kept here), and the decision is the same.
#[test]
fn a_campaign_of_an_earlier_version_goes_on() {
    let task = SmallTask::new();
    let out = task.path("out");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/campaign-0.1");
    copy(&fixture, Path::new(&out));
    let decision: Value =
        serde_json::from_str(&fs::read_to_string(fixture.join("decision.json")).unwrap()).unwrap();
    let chosen = json(&["choose", "--campaign", &out, "--json"]);
    assert_eq!(chosen["ranks"], decision["ranks"]);
    let done = mars(&strs(&task.arguments("search", &["--policy", "race", "--out", &out, "--json"])));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("8 of 8 runs are already done"), "{}", done.stderr);
    assert!(done.stderr.contains("1 of 1 runs are already done"), "{}", done.stderr);
    let summary: Value = serde_json::from_str(&done.stdout).unwrap();
    for field in ["ranks", "outcome"] {
        assert_eq!(summary[field], decision[field]);
    }
    let runs = |directory: &Path| fs::read_dir(directory.join("runs")).unwrap().count();
    assert_eq!(runs(Path::new(&out)), runs(&fixture));
}

#[test]
fn a_plan_says_what_a_search_does_before_it_does_it() {
    let task = SmallTask::new();
    let plan = json(&strs(&task.arguments("plan", &["--policy", "paper", "--json"])));
    let modules = plan["modules"].as_array().unwrap();
    let layers: u64 = modules.iter().map(|module| module["layers"].as_u64().unwrap()).sum();
    assert!(layers > 40 && modules.iter().any(|module| module["module"] == "projector"));
    assert!(plan["memory"]["total"].as_f64().unwrap() > 1e6);
    assert!(plan["image_tokens"]["min"].as_u64().unwrap() > 0);
    let role = |name: &str| plan["runs"].as_array().unwrap().iter().filter(|run| run["role"] == name).count();
    assert_eq!((role("alone"), role("final")), (8, 1));
    assert!(plan["fine_tunes"].as_f64().unwrap() > 1.0);
    let fixed = json(&strs(&task.arguments("plan", &["--policy", "fixed:4x4", "--json"])));
    assert!((fixed["fine_tunes"].as_f64().unwrap() - 1.0).abs() < 1e-9);
}

#[test]
fn a_plan_of_a_guided_search_counts_the_race_behind_its_calibration() {
    let steps = ["--set", "train.steps=1600", "--set", "train.eval_every=125"];
    let plan = json_of_embedded(&[["plan", "--policy", "guided"].as_slice(), &steps, &["--json"]].concat());
    let role = |name: &str| plan["runs"].as_array().unwrap().iter().filter(|run| run["role"] == name).count();
    assert_eq!(role("alone"), 4);
    assert!(role("race") > 2, "{plan}");
    let fine_tunes = plan["fine_tunes"].as_f64().unwrap();
    assert!((1.2..=1.39).contains(&fine_tunes), "{fine_tunes}");
    assert!(plan.get("unaffordable").is_none(), "{plan}");
}

/// The first pair is priced by what calibration costs at its ranks.
#[test]
fn a_plan_stays_within_the_cap_where_the_highest_ranks_cost_more_than_is_left() {
    let steps = ["train.steps=1400", "train.steps=1550", "train.steps=1700", "train.steps=1800"];
    for (set, more) in steps.map(|set| (set, set)).into_iter().chain([(steps[0], "train.eval_every=0")]) {
        let plan = json_of_embedded(&["plan", "--json", "--set", set, "--set", more]);
        let fine_tunes = plan["fine_tunes"].as_f64().unwrap();
        assert!((1.0..=1.39).contains(&fine_tunes), "{set} {more}: {fine_tunes}");
    }
}

/// The unit is the final run that is foreseen, and rivals race as far as the cap pays for their ranks.
#[test]
fn a_plan_stays_within_the_cap_in_the_unit_of_the_search() {
    for [steps, eval_every, window, calibration] in [["400", "20", "8", "14"], ["1500", "75", "10", "20"]] {
        let settings = [
            format!("train.steps={steps}"),
            format!("train.eval_every={eval_every}"),
            format!("calibration.window={window}"),
            format!("calibration.steps={calibration}"),
        ];
        let set = settings.iter().flat_map(|setting| ["--set", setting.as_str()]);
        let plan = json_of_embedded(&["plan", "--json"].into_iter().chain(set).collect::<Vec<_>>());
        let fine_tunes = plan["fine_tunes"].as_f64().unwrap();
        assert!((1.0..=1.39).contains(&fine_tunes), "{steps}: {fine_tunes}");
        let runs = plan["runs"].as_array().unwrap();
        let (mut last, mut unit) = (runs.last(), 0.0);
        assert_eq!(last.unwrap()["steps"].to_string(), steps, "the final run comes last: {plan}");
        while let Some(run) = last {
            unit += run["flops"].as_f64().unwrap();
            last = runs.iter().find(|other| other["id"] == run["continues"]);
        }
        let told = plan["fine_tune_flops"].as_f64().unwrap();
        assert!((told / unit - 1.0).abs() < 1e-9, "{told}, not {unit}");
    }
}

/// The budget of the embedded default pays for three ranks of each module, without which a law has no R^2.
#[test]
fn the_plan_of_the_embedded_default_has_three_ranks_of_each_module() {
    let plan = json_of_embedded(&["plan", "--json"]);
    let runs = plan["runs"].as_array().unwrap();
    for module in ["ve", "llm"] {
        let own = |run: &&Value| run["role"] == "alone" && run["ranks"].get(module).is_some();
        assert_eq!(runs.iter().filter(own).count(), 3, "{module}: {plan}");
    }
    assert!(plan["fine_tunes"].as_f64() <= Some(1.39), "{plan}");
}

/// Whoever plans a run that is too short for laws learns it before the search, and how long one has to be.
#[test]
fn a_plan_says_from_how_many_steps_on_laws_are_fitted() {
    let plan = |steps: &str, more: &[&str]| {
        let steps = format!("train.steps={steps}");
        let fixed = ["plan", "--policy", "guided", "--set", "train.eval_every=0", "--set", &steps];
        mars_of_embedded(&[&fixed, more].concat()).stdout
    };
    let words = plan("400", &[]);
    let (_, named) = words.split_once("so no law is fitted (affordable from about ").unwrap();
    let named = named.split(' ').next().unwrap();
    let short: Value = serde_json::from_str(&plan("400", &["--json"])).unwrap();
    assert_eq!(short["unaffordable"]["from_steps"].to_string(), named);
    assert!(short["unaffordable"]["price"].as_f64() > Some(0.3), "{short}");
    let long: Value = serde_json::from_str(&plan(named, &["--json"])).unwrap();
    let alone =
        |plan: &Value| plan["runs"].as_array().unwrap().iter().filter(|run| run["role"] == "alone").count();
    assert_eq!((alone(&short), alone(&long)), (0, 4));
    assert!(long.get("unaffordable").is_none(), "{long}");
}

#[test]
fn one_run_of_the_plan_can_be_done_by_its_number() {
    let task = SmallTask::new();
    let out = task.path("out");
    let calibrate = |index: &str| {
        task.arguments("calibrate", &["--policy", "race", "--out", &out, "--index", index, "--json"])
    };
    let one = json(&strs(&calibrate("3")));
    assert_eq!(one["runs"].as_array().unwrap().len(), 1);
    assert_eq!(one["runs"][0]["index"], 3);
    refused(&strs(&calibrate("99")), 2, &["99", "8 runs"]);
    let none = task.arguments("calibrate", &["--policy", "guided", "--out", &task.path("none")]);
    refused(&strs(&none), 2, &["search.budget", "race"]);
    refused(&["choose", "--campaign", &out], 1, &["7 of the 8", "mars calibrate"]);
}

#[test]
fn policies_are_compared_with_the_same_accounting() {
    let task = SmallTask::new();
    let arguments = task.arguments(
        "compare",
        &["--policies", "fixed:2x2,halving,grid", "--seeds", "1", "--out", &task.path("out"), "--json"],
    );
    let recording = task.path("recorded.json.gz");
    let arguments = [&arguments[..], &["--record".into(), recording.clone()]].concat();
    let compared = json(&strs(&arguments));
    let rows = compared["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    let row = |policy: &str| rows.iter().find(|row| row["policy"] == policy).unwrap();
    let number = |policy: &str, field: &str| row(policy)[field].as_f64().unwrap();
    assert!((number("fixed:2x2", "fine_tunes") - 1.0).abs() < 1e-9);
    assert!(
        number("grid", "fine_tunes") > 3.0 && number("halving", "fine_tunes") < number("grid", "fine_tunes")
    );
    for policy in ["fixed:2x2", "halving", "grid"] {
        let regret =
            number(policy, "test_perplexity") / compared["best"]["perplexity"].as_f64().unwrap() - 1.0;
        assert!((number(policy, "regret") - regret).abs() < 1e-12 && regret >= 0.0);
    }

    // The recording says the same in no time, to the four decimals that it keeps, and knows what it does not hold.
    let policies = ["compare", "--policies", "fixed:2x2,halving,grid", "--replay", &recording, "--json"];
    let replayed = json(&policies);
    let (_, table) = replayed.as_object().unwrap().iter().next().unwrap();
    for (again, first) in table["rows"].as_array().unwrap().iter().zip(rows) {
        assert_eq!(again["ranks"], first["ranks"]);
        for field in ["test_perplexity", "fine_tunes"] {
            let (a, b) = (again[field].as_f64().unwrap(), first[field].as_f64().unwrap());
            assert!((a - b).abs() < 2e-3 * b, "{field}: {a} and {b}");
        }
    }
    refused(
        &["compare", "--policies", "paper", "--replay", &recording],
        3,
        &["does not hold the run", "alone"],
    );
    refused(&["compare", "--replay", &task.path("train.json")], 3, &["train.json", "is not a recording"]);
    // Tasks of one name are told apart by their files.
    let other = task.path("other.json.gz");
    fs::copy(&recording, &other).unwrap();
    let both = json(&["compare", "--policies", "grid", "--replay", &recording, "--replay", &other, "--json"]);
    for file in [&recording, &other] {
        assert_eq!(both[format!("out ({file})")]["rows"].as_array().unwrap().len(), 1, "{both}");
    }
    refused(&["compare", "--replay", &other, "--replay", &other], 2, &[&other, "given twice"]);
}

#[test]
fn a_split_that_is_not_given_is_taken_from_the_training_data() {
    let task = SmallTask::new();
    let model = assets().join("model");
    let images = assets().join("digits/images.zip");
    let done = mars(&[
        "tune",
        "--ranks",
        "llm=2",
        "--model",
        model.to_str().unwrap(),
        "--data",
        &task.path("train.json"),
        "--images",
        images.to_str().unwrap(),
        "--out",
        &task.path("out"),
        "--set",
        "train.steps=2",
        "--set",
        "data.val_fraction=0.25",
        "--set",
        "data.test_fraction=0.25",
    ]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(done.stderr.contains("24 training, 12 validation and 12 test samples"), "{}", done.stderr);
}

#[test]
fn a_guided_search_of_three_modules_stays_on_its_budget() {
    let task = SmallTask::new();
    let out = task.path("out");
    let more = [
        "--policy",
        "guided",
        "--out",
        &out,
        "--json",
        "--set",
        "lora.modules=[\"ve\",\"projector\",\"llm\"]",
        "--set",
        "train.steps=16",
        "--set",
        "train.eval_every=1",
        "--set",
        "search.fine_tunes=1.6",
        "--set",
        "search.default_rank=2",
    ];
    let summary = json(&strs(&task.arguments("search", &more)));
    assert_eq!(summary["ranks"].as_object().unwrap().len(), 3, "{summary}");
    assert!(summary["cost"]["fine_tunes"].as_f64().unwrap() <= 1.6, "{summary}");
    let decision: Value =
        serde_json::from_str(&fs::read_to_string(Path::new(&out).join("decision.json")).unwrap()).unwrap();
    let raced = decision["candidates"].as_array().unwrap().iter().filter(|c| !c["trial"].is_null()).count();
    assert!(raced > 1, "{decision}");
    let page = fs::read_to_string(summary["report"].as_str().unwrap()).unwrap();
    assert!(page.contains("projector = ") && page.contains("calibration would have cost"));
}
