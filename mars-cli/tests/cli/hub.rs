//! Models that are named by an id.

use crate::kit::{Done, SmallTask, assets, command};
use std::fs;
use std::path::Path;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// Checks the data with a model, where the environment has these variables.
fn check(task: &SmallTask, model: &str, variables: &[(&str, &Path)]) -> Done {
    let images = assets().join("digits/images.zip");
    let data = task.path("train.json");
    let mut call =
        command(&["data", "check", "--data", &data, "--images", images.to_str().unwrap(), "--model", model]);
    for name in ["HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"]
    {
        call.env_remove(name);
    }
    call.envs(variables.iter().copied()).output().unwrap().into()
}

/// Puts the embedded model into a cache.
fn cached(hub: &Path) {
    let model = hub.join("models--org--tiny-vlm");
    let snapshot = model.join("snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(model.join("refs")).unwrap();
    fs::write(model.join("refs/main"), COMMIT).unwrap();
    for entry in fs::read_dir(assets().join("model")).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), snapshot.join(entry.file_name())).unwrap();
    }
}

#[test]
fn an_id_is_found_where_the_environment_says() {
    let task = SmallTask::new();
    let home = task.directory.path().join("home");
    cached(&home.join("hub"));
    let on = Path::new("1");
    for variables in [
        &[("HF_HOME", home.as_path()), ("HF_HUB_OFFLINE", on)][..],
        &[("HF_HUB_CACHE", &home.join("hub"))],
        &[("HF_HOME", Path::new("/no/such/home")), ("HF_HUB_CACHE", &home.join("hub"))],
    ] {
        for model in ["org/tiny-vlm", &format!("org/tiny-vlm@{COMMIT}")] {
            let done = check(&task, model, variables);
            assert_eq!(done.code, Some(0), "{variables:?}: {}", done.stderr);
            assert!(
                done.stdout.contains("no problem found") && done.stdout.contains("image tokens"),
                "{}",
                done.stdout
            );
        }
    }
}

#[test]
fn an_id_that_is_not_cached_says_where_it_was_looked_for() {
    let task = SmallTask::new();
    let empty = task.directory.path().join("empty");
    let done = check(&task, "org/tiny-vlm", &[("HF_HOME", &empty), ("HF_HUB_OFFLINE", Path::new("1"))]);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    let place = empty.join("hub");
    for part in ["org/tiny-vlm", place.to_str().unwrap(), "HF_HUB_OFFLINE is set", "hf download org/tiny-vlm"]
    {
        assert!(done.stderr.contains(part), "`{part}` is not in: {}", done.stderr);
    }
    let done = check(&task, "./org/tiny-vlm", &[("HF_HOME", &empty)]);
    assert_eq!(done.code, Some(3), "{}", done.stderr);
    assert!(!done.stderr.contains("hub") && done.stderr.contains("./org/tiny-vlm"), "{}", done.stderr);
}
