//! The layout is that of `huggingface_hub`: `refs/REVISION` names a commit, `snapshots/COMMIT` holds its files.

use mars_vlm::Error;
use mars_vlm::hub::{Cache, Need, Network, find};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A cache with one model, of which these files are there.
fn cached(files: &[&str]) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let model = dir.path().join("models--org--tiny-vlm");
    let snapshot = model.join("snapshots").join(COMMIT);
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(model.join("refs")).unwrap();
    fs::write(model.join("refs/main"), COMMIT).unwrap();
    files.iter().for_each(|name| fs::write(snapshot.join(name), "{}").unwrap());
    dir
}

fn ask(dir: &TempDir, model: &str, need: Need) -> Result<PathBuf, Error> {
    let network = Network::Off("The network is switched off");
    find(Path::new(model), need, &Cache::new(dir.path()), &network, &mut |_| {})
}

/// The message of a model that is not cached.
fn refusal(dir: &TempDir, model: &str, need: Need) -> String {
    let error = ask(dir, model, need).unwrap_err();
    assert!(matches!(error, Error::NotCached { .. }), "{error}");
    let message = error.to_string();
    for part in ["org/", "network is switched off", "hf download org/", dir.path().to_str().unwrap()] {
        assert!(message.contains(part), "`{part}` is not in {message}");
    }
    message
}

const ALL: [&str; 3] = ["config.json", "tokenizer.json", "model.safetensors"];

#[test]
fn an_id_is_its_snapshot() {
    let dir = cached(&ALL);
    let snapshot = dir.path().join("models--org--tiny-vlm/snapshots").join(COMMIT);
    for model in ["org/tiny-vlm", "org/tiny-vlm@main", &format!("org/tiny-vlm@{COMMIT}")] {
        assert_eq!(ask(&dir, model, Need::Weights).unwrap(), snapshot, "{model}");
    }
}

#[test]
fn an_old_index_beside_whole_weights_does_not_count() {
    let dir = cached(&[&ALL[..], &["model.safetensors.index.json"]].concat());
    let snapshot = dir.path().join("models--org--tiny-vlm/snapshots").join(COMMIT);
    let stale = r#"{"weight_map": {"a": "model-00001-of-00001.safetensors"}}"#;
    fs::write(snapshot.join("model.safetensors.index.json"), stale).unwrap();
    assert_eq!(ask(&dir, "org/tiny-vlm", Need::Weights).unwrap(), snapshot);
}

#[test]
fn references_may_lie_in_folders_and_end_with_a_newline() {
    let dir = cached(&ALL);
    let refs = dir.path().join("models--org--tiny-vlm/refs/refs/pr");
    fs::create_dir_all(&refs).unwrap();
    fs::write(refs.join("3"), format!("{COMMIT}\n")).unwrap();
    assert!(ask(&dir, "org/tiny-vlm@refs/pr/3", Need::Weights).unwrap().ends_with(COMMIT));
}

#[test]
fn a_folder_goes_before_an_id_and_a_path_is_no_id() {
    let dir = cached(&ALL);
    let here = env!("CARGO_MANIFEST_DIR");
    for path in [here, "/no/such/model", "./no/such", "no-such-model", "..", ""] {
        assert_eq!(ask(&dir, path, Need::Weights).unwrap(), Path::new(path), "{path}");
    }
    // Tests run in the folder of the crate, so this is an id and a folder at once.
    assert_eq!(ask(&dir, "src/hub", Need::Weights).unwrap(), Path::new("src/hub"));
}

#[test]
fn what_is_not_there_is_told_with_its_place() {
    let dir = cached(&ALL);
    assert!(refusal(&dir, "org/other", Need::Weights).contains("models--org--other does not exist"));
    let told = refusal(&dir, "org/tiny-vlm@v2", Need::Weights);
    assert!(told.contains("refs/v2 does not exist") && told.contains(COMMIT), "{told}");
    let other = COMMIT.replace('0', "f");
    assert!(refusal(&dir, &format!("org/tiny-vlm@{other}"), Need::Weights).contains(&other));
    let nowhere = tempfile::tempdir().unwrap();
    fs::remove_dir(nowhere.path()).unwrap();
    refusal(&nowhere, "org/tiny-vlm", Need::Weights);
}

#[test]
fn a_snapshot_that_is_not_whole_is_no_model() {
    assert!(refusal(&cached(&ALL[..1]), "org/tiny-vlm", Need::Processor).contains("lacks tokenizer.json"));
    let dir = cached(&ALL[..2]);
    ask(&dir, "org/tiny-vlm", Need::Processor).unwrap();
    assert!(refusal(&dir, "org/tiny-vlm", Need::Weights).contains("lacks model.safetensors"));
    let snapshot = ask(&dir, "org/tiny-vlm", Need::Processor).unwrap();
    let index = r#"{"weight_map": {"a": "model-1.safetensors", "b": "model-2.safetensors"}}"#;
    fs::write(snapshot.join("model.safetensors.index.json"), index).unwrap();
    fs::write(snapshot.join("model-1.safetensors"), "").unwrap();
    assert!(refusal(&dir, "org/tiny-vlm", Need::Weights).contains("lacks model-2.safetensors"));
    fs::write(snapshot.join("model-2.safetensors"), "").unwrap();
    ask(&dir, "org/tiny-vlm", Need::Weights).unwrap();
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_those_into_nothing_are_no_files() {
    let dir = cached(&ALL[..2]);
    let model = dir.path().join("models--org--tiny-vlm");
    fs::create_dir(model.join("blobs")).unwrap();
    let link = model.join("snapshots").join(COMMIT).join("model.safetensors");
    std::os::unix::fs::symlink("../../blobs/cafe", link).unwrap();
    assert!(refusal(&dir, "org/tiny-vlm", Need::Weights).contains("lacks model.safetensors"));
    fs::write(model.join("blobs/cafe"), "x").unwrap();
    ask(&dir, "org/tiny-vlm", Need::Weights).unwrap();
}

#[test]
fn a_reference_that_is_no_commit_leads_nowhere() {
    for text in ["../../../etc", "", "main", &COMMIT.to_uppercase().replace('0', "A")] {
        let dir = cached(&ALL);
        let reference = dir.path().join("models--org--tiny-vlm/refs/main");
        fs::write(&reference, text).unwrap();
        let error = ask(&dir, "org/tiny-vlm", Need::Weights).unwrap_err();
        assert!(matches!(&error, Error::Malformed { path, .. } if *path == reference), "{error}");
    }
}
