//! Which chat template counts, as the commands say it.

use crate::kit::{SmallTask, assets, mars};
use std::fs;

#[test]
fn templates_that_differ_are_warned_of_once_by_name() {
    let task = SmallTask::new();
    let model = task.model_copy();
    let (data, images) = (task.path("test.json"), assets().join("digits/images.zip"));
    let (folder, images) = (model.to_str().unwrap(), images.to_str().unwrap());
    let eval = ["eval", "--model", folder, "--data", &data, "--images", images];
    let check = ["data", "check", "--model", folder, "--data", &data, "--images", images];
    let warnings = |arguments: &[&str]| {
        let done = mars(arguments);
        assert_eq!(done.code, Some(0), "{}", done.stderr);
        done.stderr.matches("chat template of").count()
    };
    assert_eq!((warnings(&eval), warnings(&check)), (0, 0));
    let processor = model.join("processor_config.json");
    let mut config: serde_json::Value = fs::read(&processor)
        .map_or_else(|_| serde_json::json!({}), |text| serde_json::from_slice(&text).unwrap());
    config["chat_template"] = "another".into();
    fs::write(&processor, config.to_string()).unwrap();
    assert_eq!((warnings(&eval), warnings(&check)), (1, 1));
    let done = mars(&eval);
    for part in ["chat_template.jinja counts", "processor_config.json differs"] {
        assert!(done.stderr.contains(part), "{part} is not in {}", done.stderr);
    }
}
