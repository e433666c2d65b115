//! Digests of model directories.

use mars_vlm::checkpoint::fingerprint;
use std::fs;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// The digests of version 0.1.0, which are in the campaigns that were made with it.
#[test]
fn digests_are_those_of_campaigns_on_disk() {
    assert_eq!(fingerprint(&fixture("processor/split")).unwrap(), "f8e0d5b0fd3e1f73");
    assert_eq!(fingerprint(&fixture("idefics3/gqa_split")).unwrap(), "563c717d9c04545e");
    assert_eq!(fingerprint(&fixture("idefics3/sharded_bf16")).unwrap(), "ec4aa5eaaccbe221");
}

#[test]
fn files_that_determine_results_count_and_others_do_not() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["config.json", "chat_template.jinja", "tokenizer.json"] {
        fs::copy(fixture("processor/split").join(name), dir.path().join(name)).unwrap();
    }
    let digest = || fingerprint(dir.path()).unwrap();
    let first = digest();
    fs::write(dir.path().join("README.md"), "read me").unwrap();
    fs::create_dir(dir.path().join("folder.json")).unwrap();
    assert_eq!(digest(), first);
    fs::rename(dir.path().join("chat_template.jinja"), dir.path().join("other.jinja")).unwrap();
    assert_ne!(digest(), first, "a name counts");
    fs::rename(dir.path().join("other.jinja"), dir.path().join("chat_template.jinja")).unwrap();
    assert_eq!(digest(), first);
    let folder = dir.path().join("additional_chat_templates");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("rag.jinja"), "not used").unwrap();
    assert_eq!(digest(), first);
    fs::write(folder.join("default.jinja"), "used").unwrap();
    assert_ne!(digest(), first, "a template in its folder counts");
    fs::remove_dir_all(&folder).unwrap();
    fs::write(dir.path().join("config.json"), "{}").unwrap();
    assert_ne!(digest(), first, "contents count");
    assert!(fingerprint(&dir.path().join("no")).is_err());
}
