//! A malformed input: what it is made of, what is spoilt, and what must be said about it.

use crate::kit::assets;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Sound files to begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Base {
    /// The embedded model in `model/`, two samples in `data/`.
    Whole,
    /// A tiny Idefics3 in two shards.
    Sharded,
    /// A tiny LLaVA-OneVision, and an adapter of PEFT in `adapter/`.
    Llava,
    /// A tiny LLaVA-1.5.
    Llava15,
    /// A tiny LLaVA-NeXT.
    LlavaNext,
    /// A tiny Qwen2-VL.
    Qwen2,
    /// A tiny Qwen2.5-VL.
    Qwen25,
    /// A tiny Qwen3-VL.
    Qwen3,
    /// A tiny InternVL3.
    InternVl,
    /// A tiny Gemma 3.
    Gemma3,
}

impl Base {
    pub(super) const ALL: &[Self] = &[
        Self::Whole,
        Self::Sharded,
        Self::Llava,
        Self::Llava15,
        Self::LlavaNext,
        Self::Qwen2,
        Self::Qwen25,
        Self::Qwen3,
        Self::InternVl,
        Self::Gemma3,
    ];

    fn model(self) -> PathBuf {
        let fixtures =
            |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("../mars-vlm/tests/fixtures").join(name);
        match self {
            Self::Whole => assets().join("model"),
            Self::Sharded => fixtures("idefics3/sharded_bf16"),
            Self::Llava => fixtures("llava_onevision/gqa_tied"),
            Self::Llava15 => fixtures("llava/clip_full"),
            Self::LlavaNext => fixtures("llava/next_mistral"),
            Self::Qwen2 => fixtures("qwen2_vl/older_tied"),
            Self::Qwen25 => fixtures("qwen2_vl/windows_tied"),
            Self::Qwen3 => fixtures("qwen3_vl/tied_grouped"),
            Self::InternVl => fixtures("internvl/qwen3_untied"),
            Self::Gemma3 => fixtures("gemma3/grouped_local"),
        }
    }
}

type Spoil = Box<dyn Fn(&Target) + Send + Sync>;

/// One entry of the list.
pub(super) struct Case {
    pub(super) base: Base,
    /// The file that is spoilt.
    pub(super) path: &'static str,
    pub(super) name: &'static str,
    /// A part of the message beside the file's name.
    pub(super) says: &'static str,
    pub(super) spoil: Spoil,
    named: Option<&'static str>,
}

impl Case {
    pub(super) fn new(
        base: Base,
        path: &'static str,
        name: &'static str,
        says: &'static str,
        spoil: impl Fn(&Target) + Send + Sync + 'static,
    ) -> Self {
        Self { base, path, name, says, spoil: Box::new(spoil), named: None }
    }

    /// The same, where another file shows what is wrong.
    pub(super) fn naming(mut self, file: &'static str) -> Self {
        self.named = Some(file);
        self
    }

    /// The name that must be in the message.
    pub(super) fn file(&self) -> &'static str {
        self.named.unwrap_or_else(|| self.path.rsplit('/').next().unwrap_or(self.path))
    }
}

/// A copy of the sound files.
pub(super) struct Place {
    directory: TempDir,
    pub(super) base: Base,
}

impl Place {
    pub(super) fn new(base: Base) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        copy(&base.model(), &root.join("model"));
        if base == Base::Llava {
            fs::rename(root.join("model/adapter"), root.join("adapter")).unwrap();
        }
        if base == Base::Whole {
            let images =
                Path::new(env!("CARGO_MANIFEST_DIR")).join("../mars-vlm/tests/fixtures/processor/images");
            fs::create_dir(root.join("data")).unwrap();
            for name in ["square.png", "turned.jpg", "lossless.webp"] {
                fs::copy(images.join(name), root.join("data").join(name)).unwrap();
            }
            fs::write(root.join("data/train.json"), samples().to_string()).unwrap();
        }
        Self { directory, base }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(super) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    pub(super) fn target(&self, path: &str) -> Target {
        Target { path: self.path(path) }
    }
}

/// Two samples, three images.
fn samples() -> Value {
    let sample = |id: &str, images: Value, question: &str| {
        serde_json::json!({"id": id, "image": images, "conversations": [
            {"from": "human", "value": question}, {"from": "gpt", "value": "eight one"}]})
    };
    serde_json::json!([
        sample("one", serde_json::json!("square.png"), "<image>\nsay left"),
        sample("two", serde_json::json!(["turned.jpg", "lossless.webp"]), "<image><image>\nsay right"),
    ])
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let place = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &place);
        } else {
            fs::copy(entry.path(), place).unwrap();
        }
    }
}

/// A file to be spoilt.
pub(super) struct Target {
    path: PathBuf,
}

impl Target {
    /// A file beside it.
    pub(super) fn beside(&self, name: &str) -> Self {
        Self { path: self.path.with_file_name(name) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }

    pub(super) fn put(&self, bytes: impl AsRef<[u8]>) {
        fs::write(&self.path, bytes).unwrap();
    }

    /// Makes it longer by zeros that take no place on disk.
    pub(super) fn stretch(&self, length: u64) {
        fs::OpenOptions::new().write(true).open(&self.path).unwrap().set_len(length).unwrap();
    }

    pub(super) fn remove(&self) {
        fs::remove_file(&self.path).unwrap();
    }

    /// A folder in its place.
    pub(super) fn make_folder(&self) {
        self.remove();
        fs::create_dir(&self.path).unwrap();
    }

    pub(super) fn rename(&self, name: &str) {
        fs::rename(&self.path, self.path.with_file_name(name)).unwrap();
    }

    /// Only the first part of it.
    pub(super) fn cut(&self, length: usize) {
        let bytes = self.bytes();
        assert!(length < bytes.len());
        self.put(&bytes[..length]);
    }

    /// Only the first half of it.
    pub(super) fn halve(&self) {
        self.cut(self.bytes().len() / 2);
    }

    pub(super) fn swap(&self, from: &str, to: &str) {
        let text = String::from_utf8(self.bytes()).unwrap();
        assert!(text.contains(from), "{from} is not in {}", self.path.display());
        self.put(text.replacen(from, to, 1));
    }

    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes()).unwrap()
    }

    /// Sets the value at a path of names and numbers, as in `text_config/hidden_size`.
    pub(super) fn set(&self, at: &str, value: impl Into<Value>) {
        let mut all = self.json();
        let mut place = &mut all;
        for part in at.split('/') {
            place = match place {
                Value::Array(list) => &mut list[part.parse::<usize>().unwrap()],
                other => &mut other[part],
            };
        }
        *place = value.into();
        self.put(all.to_string());
    }

    /// Removes the name at a path.
    pub(super) fn unset(&self, at: &str) {
        let mut all = self.json();
        let (folder, name) = at.rsplit_once('/').unwrap_or(("", at));
        let mut place = &mut all;
        for part in folder.split('/').filter(|part| !part.is_empty()) {
            place = &mut place[part];
        }
        assert!(place.as_object_mut().unwrap().remove(name).is_some(), "{at}");
        self.put(all.to_string());
    }
}
