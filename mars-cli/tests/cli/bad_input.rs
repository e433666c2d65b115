//! Bad input: its exit code and one clear message, never a panic.

use crate::kit::{SmallTask, assets, mars, refused, strs};
use safetensors::{SafeTensors, tensor::serialize_to_file};
use std::{fs, path::Path};

fn tune(task: &SmallTask, model: &Path) -> Vec<String> {
    task.with_model("tune", model, &["--ranks", "ve=2,llm=2", "--out", &task.path("out")])
}

/// Rewrites the weights of a model without one tensor.
fn drop_tensor(model: &Path, name: &str) {
    let path = model.join("model.safetensors");
    let bytes = fs::read(&path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let kept: Vec<_> = tensors.iter().filter(|(other, _)| *other != name).collect();
    assert_eq!(kept.len() + 1, tensors.len());
    serialize_to_file(kept, None, &path).unwrap();
}

#[test]
fn a_missing_tensor_is_named() {
    let task = SmallTask::new();
    let model = task.model_copy();
    let name = "model.text_model.layers.1.mlp.up_proj.weight";
    drop_tensor(&model, name);
    refused(&strs(&tune(&task, &model)), 3, &[name, "missing"]);
}

#[test]
fn a_wrong_shape_is_told_with_both_shapes() {
    let task = SmallTask::new();
    let model = task.model_copy();
    let config = fs::read_to_string(model.join("config.json")).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&config).unwrap();
    config["text_config"]["intermediate_size"] = 128.into();
    fs::write(model.join("config.json"), config.to_string()).unwrap();
    refused(&strs(&tune(&task, &model)), 3, &["mlp", "128", "256"]);
}

#[test]
fn truncated_files_are_noticed() {
    for file in ["model.safetensors", "config.json", "tokenizer.json", "preprocessor_config.json"] {
        let task = SmallTask::new();
        let model = task.model_copy();
        let bytes = fs::read(model.join(file)).unwrap();
        fs::write(model.join(file), &bytes[..bytes.len() / 2]).unwrap();
        refused(&strs(&tune(&task, &model)), 3, &[file]);
    }
    let task = SmallTask::new();
    let data = fs::read(task.path("train.json")).unwrap();
    fs::write(task.path("train.json"), &data[..data.len() / 2]).unwrap();
    refused(&strs(&tune(&task, &assets().join("model"))), 3, &["train.json", "cut off"]);
}

#[test]
fn missing_files_are_named() {
    let task = SmallTask::new();
    refused(&strs(&tune(&task, Path::new("/no/such/model"))), 3, &["/no/such/model"]);
    fs::remove_file(task.path("val.json")).unwrap();
    refused(&strs(&tune(&task, &assets().join("model"))), 3, &["val.json"]);
}

#[test]
fn data_that_cannot_be_split_and_images_that_are_not_there_are_named_with_their_settings() {
    let task = SmallTask::new();
    let all: Vec<serde_json::Value> =
        serde_json::from_str(&fs::read_to_string(task.path("train.json")).unwrap()).unwrap();
    let few = task.path("few.json");
    fs::write(&few, serde_json::to_string(&all[..3]).unwrap()).unwrap();
    let (model, images) = (assets().join("model"), assets().join("digits/images.zip"));
    let (model, out) = (model.to_str().unwrap(), task.path("out"));
    let tune = ["tune", "--ranks", "llm=2", "--model", model, "--data", &few, "--out", &out];
    let split = [&tune[..], &["--images", images.to_str().unwrap()]].concat();
    refused(&split, 3, &["few.json: no sample is left for validation", "data.val"]);

    let settings = task.path("m.toml");
    fs::write(&settings, "[data]\nimages = \"no-images.zip\"\n").unwrap();
    let named = [&tune[..], &["--config", &settings]].concat();
    refused(
        &named,
        3,
        &["no-images.zip, which is taken from the current directory", "data.images is from", "m.toml"],
    );
}

#[test]
fn modules_that_the_model_does_not_have_are_those_of_their_setting() {
    let task = SmallTask::new();
    let modules = "lora.modules=[\"foo\",\"llm\"]";
    let plan = task.arguments("plan", &["--set", modules]);
    refused(&strs(&plan), 2, &["lora.modules contains `foo`", "llm", "lora.modules is from --set"]);
}

#[test]
fn a_copy_of_the_training_data_is_no_validation_data() {
    let task = SmallTask::new();
    fs::copy(task.path("train.json"), task.path("val.json")).unwrap();
    refused(&strs(&tune(&task, &assets().join("model"))), 3, &["train.json", "val.json", "data.val"]);
}

#[test]
fn a_loss_that_is_not_a_number_fails_the_run() {
    let task = SmallTask::new();
    let arguments = task.arguments(
        "tune",
        &[
            "--ranks",
            "ve=2,llm=2",
            "--out",
            &task.path("out"),
            "--set",
            "train.learning_rate=1e30",
            "--set",
            "train.optim.clip_norm=0",
        ],
    );
    refused(&strs(&arguments), 1, &["llm=2,ve=2", "diverged"]);
}

/// Writes one sample as training data.
fn one_sample(task: &SmallTask, sample: serde_json::Value) {
    fs::write(task.path("train.json"), serde_json::json!([sample]).to_string()).unwrap();
}

#[test]
fn a_missing_image_is_named_with_its_sample() {
    let task = SmallTask::new();
    one_sample(
        &task,
        serde_json::json!({"id": "lonely", "image": "nowhere.png", "conversations": [
        {"from": "human", "value": "<image>\nsay left"}, {"from": "gpt", "value": "one"}]}),
    );
    refused(&strs(&tune(&task, &assets().join("model"))), 3, &["lonely", "nowhere.png", "line 1"]);
}

#[test]
fn a_placeholder_mismatch_is_told_with_both_numbers() {
    let task = SmallTask::new();
    one_sample(
        &task,
        serde_json::json!({"id": "double", "image": "train0000.png", "conversations": [
        {"from": "human", "value": "<image><image>\nsay left"}, {"from": "gpt", "value": "one"}]}),
    );
    refused(&strs(&tune(&task, &assets().join("model"))), 3, &["double", "image places", "1", "2"]);
    let images = assets().join("digits/images.zip");
    let data = task.path("train.json");
    refused(
        &["data", "check", "--data", &data, "--images", images.to_str().unwrap()],
        3,
        &["1 of 1 samples"],
    );
}

#[test]
fn ranks_that_do_not_fit_are_refused() {
    let task = SmallTask::new();
    let with = |ranks: &str| task.arguments("tune", &["--ranks", ranks, "--out", &task.path("out")]);
    refused(&strs(&with("ve=0,llm=2")), 2, &["ve=0", "rank 0"]);
    refused(&strs(&with("ve=2,llm=5000")), 2, &["5000", "model.text_model"]);
    refused(&strs(&with("ve=2,audio=2")), 2, &["audio"]);
    refused(&strs(&with("2x2")), 2, &["ve=8,llm=16"]);
}

#[test]
fn unknown_words_on_the_command_line_are_refused() {
    let task = SmallTask::new();
    refused(&["search", "--polcy", "race"], 2, &["--polcy"]);
    refused(&["serach"], 2, &["serach"]);
    refused(&["search", "--policy", "best"], 2, &["best", "race"]);
    refused(&["search", "--set", "train.bacth=4"], 2, &["train.bacth", "train.batch"]);
    let out = task.path("out");
    let set = format!("out.dir=\"{out}\"");
    for command in ["search", "plan", "eval"] {
        refused(&[command, "--device", "abacus", "--set", &set], 2, &["abacus", "cpu"]);
    }
    assert!(!Path::new(&out).exists(), "nothing is unpacked");
    refused(&["compare", "--policies", "grid,nothing"], 2, &["nothing"]);
    refused(&["fit"], 2, &["--runs"]);
}

/// Neither the embedded model nor another one is of use without them.
#[test]
fn files_that_are_not_there_or_of_another_kind_are_refused_before_a_model_is_unpacked_or_loaded() {
    let task = SmallTask::new();
    let (train, out, broken) = (task.path("train.json"), task.path("out"), task.model_copy());
    fs::write(broken.join("model.safetensors"), "cut off").unwrap();
    fs::write(task.path("page.json"), "<!DOCTYPE html>").unwrap();
    fs::create_dir(task.path("empty")).unwrap();
    let set = format!("out.dir=\"{out}\"");
    let models = [vec!["--set", &set], vec!["--set", &set, "--model", broken.to_str().unwrap()]];
    let searches = [&["search"][..], &["plan"], &["calibrate"], &["compare"], &["tune", "--ranks", "llm=2"]];
    let [missing, page, empty] = ["missing.json", "page.json", "empty"].map(|name| task.path(name));
    for model in &models {
        let call = |parts: &[&[&str]], bad: &str| {
            refused(&[&parts.concat()[..], &model[..]].concat(), 3, &[bad]);
        };
        for bad in [&missing, &page, &empty] {
            for command in searches {
                call(&[command, &["--data", bad]], bad);
            }
            call(&[&["search", "--data", &train, "--val", bad]], bad);
            call(&[&["search", "--data", &train, "--test", bad]], bad);
            call(&[&["tune", "--adapter", bad]], bad);
            call(&[&["tune", "--adapter", bad, "--ranks", "llm=2", "--data", &train]], bad);
            call(&[&["eval", "--data", bad]], bad);
            call(&[&["eval", "--adapter", bad]], bad);
            call(&[&["verify", "--adapter", bad]], bad);
        }
        for bad in [&missing, &page] {
            call(&[&["search", "--data", &train, "--images", bad]], bad);
            call(&[&["eval", "--data", &train, "--images", bad]], bad);
        }
    }
    assert!(!Path::new(&out).exists(), "nothing is unpacked");
}

/// No later call succeeds where a file is: the directory has to be another.
#[test]
fn an_out_directory_that_can_be_none_is_refused() {
    let task = SmallTask::new();
    fs::write(task.path("file"), "in the way").unwrap();
    let file = task.path("file");
    for out in [file.clone(), task.path("file/out")] {
        let parts = ["out.dir is", &out, &format!("{file} is not a directory"), "out.dir is from --out"];
        let arguments = task.arguments("tune", &["--ranks", "ve=2,llm=2", "--out", &out]);
        refused(&strs(&arguments), 2, &parts);
        refused(&["search", "--out", &out], 2, &parts);
        refused(&["calibrate", "--out", &out], 2, &parts);
        let trainer = ["--trainer", "train {r.ve} {r.llm} {out}", "--set", "trainer.samples=100"];
        refused(&[&["search", "--out", &out][..], &trainer].concat(), 2, &parts);
        refused(&[&["slurm", "--out", &out][..], &trainer].concat(), 2, &parts);
    }
}

/// A file that is there and cannot be read now is no wrong setting and no bad data: the same call may succeed later.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_cannot_be_read_is_an_io_error() {
    // Reading its first byte gives EIO.
    let failing = "/proc/self/mem";
    for arguments in [
        &["config", "--config", failing][..],
        &["fit", "--runs", failing],
        &["compare", "--replay", failing],
        &["data", "check", "--data", failing],
    ] {
        refused(arguments, 74, &[failing]);
    }
}

/// What cannot be stored is no fault of the ranks: the search stops at once, and the same call goes on when it can.
#[test]
fn checkpoints_that_cannot_be_written_are_an_io_error() {
    let task = SmallTask::new();
    let out = task.path("out");
    let arguments = task.arguments("search", &["--policy", "race", "--out", &out]);
    fs::create_dir(&out).unwrap();
    let in_the_way = task.path("out/checkpoints");
    fs::write(&in_the_way, "in the way").unwrap();
    refused(&strs(&arguments), 74, &[&in_the_way]);
    assert!(!Path::new(&out).join("decision.json").exists());
    fs::remove_file(&in_the_way).unwrap();
    assert_eq!(mars(&strs(&arguments)).code, Some(0));
}

#[test]
fn a_directory_without_a_campaign_says_what_makes_one() {
    let task = SmallTask::new();
    let empty = task.path("nothing-here");
    refused(&["fit", "--campaign", &empty], 3, &["no campaign", "mars search"]);
    refused(&["choose", "--campaign", &empty], 3, &["no campaign"]);
    refused(&["report", &empty], 3, &["no finished search"]);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    use std::process::Stdio;
    let mut child =
        crate::kit::command(&["config"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn help_and_version_are_not_errors() {
    for arguments in [&["--help"][..], &["search", "--help"], &["--version"]] {
        assert_eq!(mars(arguments).code, Some(0));
    }
}
