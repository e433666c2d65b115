//! Fetching from a server in this process.

use crate::server::{COMMIT, Fault, Hub, files};
use mars_vlm::Error;
use mars_vlm::hub::{Cache, Need, Network, Server, find};
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

fn fetch(dir: &TempDir, endpoint: &str, token: Option<&str>, model: &str) -> Result<PathBuf, Error> {
    let server = Server { endpoint: endpoint.to_string(), token: token.map(str::to_string) };
    let cache = Cache::new(dir.path().join("hub"));
    let mut last = 0;
    find(Path::new(model), Need::Weights, &cache, &Network::On(server), &mut |progress| {
        assert!(progress.done >= last && progress.done <= progress.total, "{progress:?} after {last}");
        last = progress.done;
    })
}

fn assert_whole(snapshot: &Path) {
    for name in [
        "config.json",
        "tokenizer.json",
        "chat_template.jinja",
        "additional_chat_templates/default.jinja",
        "model.safetensors",
    ] {
        assert!(fs::read(snapshot.join(name)).unwrap() == files()[name], "{name}");
    }
}

#[test]
fn a_model_is_fetched_once_without_what_is_not_read() {
    let (dir, hub) = (tempfile::tempdir().unwrap(), Hub::start(Fault::None, None));
    let snapshot = fetch(&dir, &hub.endpoint, None, "org/tiny-vlm").unwrap();
    let model = dir.path().join("hub/models--org--tiny-vlm");
    assert_eq!(snapshot, model.join("snapshots").join(COMMIT));
    assert_whole(&snapshot);
    assert_eq!(fs::read_to_string(model.join("refs/main")).unwrap(), COMMIT);
    assert_eq!(fs::read_dir(&snapshot).unwrap().count(), 5);
    assert_eq!(fs::read_dir(snapshot.join("additional_chat_templates")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(model.join("blobs")).unwrap().count(), 0);
    let before = hub.asked.lock().unwrap().len();
    assert_eq!(fetch(&dir, &hub.endpoint, None, "org/tiny-vlm").unwrap(), snapshot);
    assert_eq!(hub.asked.lock().unwrap().len(), before, "a cached model needs no network");
}

#[test]
fn a_download_that_broke_off_goes_on_where_it_was() {
    let (dir, hub) = (tempfile::tempdir().unwrap(), Hub::start(Fault::BreaksOff, None));
    let error = fetch(&dir, &hub.endpoint, None, "org/tiny-vlm").unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error}");
    assert!(!dir.path().join("hub/models--org--tiny-vlm/refs/main").exists(), "half a model is none");
    let snapshot = fetch(&dir, &hub.endpoint, None, "org/tiny-vlm").unwrap();
    assert_whole(&snapshot);
    let asked = hub.asked.lock().unwrap();
    let continued =
        asked.iter().filter(|path| path.starts_with("/elsewhere/model.safetensors bytes=")).count();
    assert_eq!(continued, 1, "{asked:?}");
}

#[test]
fn a_file_that_another_process_fetches_is_left_to_it() {
    let (dir, hub) = (tempfile::tempdir().unwrap(), Hub::start(Fault::None, None));
    let blobs = dir.path().join("hub/models--org--tiny-vlm/blobs");
    fs::create_dir_all(&blobs).unwrap();
    let begun = fs::File::create(blobs.join(format!("{COMMIT}.model.safetensors.incomplete"))).unwrap();
    begun.lock().unwrap();
    let error = fetch(&dir, &hub.endpoint, None, "org/tiny-vlm").unwrap_err();
    assert!(error.to_string().contains("another process fetches"), "{error}");
    begun.unlock().unwrap();
    assert_whole(&fetch(&dir, &hub.endpoint, None, "org/tiny-vlm").unwrap());
}

#[test]
fn bytes_that_were_not_announced_are_refused_and_removed() {
    let (dir, hub) = (tempfile::tempdir().unwrap(), Hub::start(Fault::Corrupts, None));
    let error = fetch(&dir, &hub.endpoint, None, "org/tiny-vlm").unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    assert!(error.to_string().contains("model.safetensors has the digest"), "{error}");
    let left = dir.path().join("hub/models--org--tiny-vlm/blobs");
    assert_eq!(fs::read_dir(left).unwrap().count(), 0);
}

#[test]
fn models_with_terms_need_a_token() {
    let (dir, hub) = (tempfile::tempdir().unwrap(), Hub::start(Fault::None, Some("secret")));
    for token in [None, Some("other")] {
        let error = fetch(&dir, &hub.endpoint, token, "org/tiny-vlm").unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert!(error.to_string().contains("HF_TOKEN") && !error.to_string().contains("other"), "{error}");
    }
    assert_whole(&fetch(&dir, &hub.endpoint, Some("secret"), "org/tiny-vlm").unwrap());
}

#[test]
fn what_the_server_does_not_have_is_refused() {
    let (dir, hub) = (tempfile::tempdir().unwrap(), Hub::start(Fault::None, None));
    for model in ["org/other", "org/tiny-vlm@v7"] {
        let error = fetch(&dir, &hub.endpoint, None, model).unwrap_err();
        assert!(matches!(error, Error::Refused { .. }), "{error}");
        assert!(error.to_string().contains(model) && error.to_string().contains("404"), "{error}");
    }
}

#[test]
fn strange_answers_are_errors() {
    for (fault, part) in
        [(Fault::NoCommit, "no commit"), (Fault::Chatters, "no list of files"), (Fault::Busy, "503")]
    {
        let (dir, hub) = (tempfile::tempdir().unwrap(), Hub::start(fault, None));
        let error = fetch(&dir, &hub.endpoint, None, "org/tiny-vlm").unwrap_err();
        assert_eq!(matches!(error, Error::Network { .. }), fault == Fault::Busy, "{error}");
        assert!(error.to_string().contains(part), "{error}");
        assert!(!dir.path().join("hub/models--org--tiny-vlm/refs").exists());
    }
}

#[test]
fn without_a_network_the_address_is_named() {
    let dir = tempfile::tempdir().unwrap();
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let endpoint = format!("http://127.0.0.1:{port}");
    let error = fetch(&dir, &endpoint, None, "org/tiny-vlm").unwrap_err();
    assert!(matches!(error, Error::Network { .. }), "{error}");
    assert!(
        error.to_string().contains(&endpoint) && error.to_string().contains("check the network"),
        "{error}"
    );
    assert!(!dir.path().join("hub").exists(), "nothing is written before the server has answered");
}
