//! The embedded example: a tiny pre-trained model and pictures of real handwritten digits, carried in the
//! program and unpacked where they are needed.

use anyhow::{Context, Result};
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

/// Settings that suit the embedded example.
pub(crate) const PRESET: &str = include_str!("config/embedded.toml");

macro_rules! assets {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_bytes!(concat!("../../assets/", $path)).as_slice())),*]
    };
}

const FILES: [(&str, &[u8]); 14] = assets![
    "model/chat_template.jinja",
    "model/config.json",
    "model/generation_config.json",
    "model/model.safetensors",
    "model/preprocessor_config.json",
    "model/processor_config.json",
    "model/special_tokens_map.json",
    "model/tokenizer.json",
    "model/tokenizer_config.json",
    "digits/images.zip",
    "digits/test.json",
    "digits/train.json",
    "digits/val.json",
    "digits/source/README.md",
];

/// Where the example was unpacked.
#[derive(Clone, Debug)]
pub(crate) struct Unpacked {
    pub(crate) model: PathBuf,
    pub(crate) train: PathBuf,
    pub(crate) val: PathBuf,
    pub(crate) test: PathBuf,
    pub(crate) images: PathBuf,
}

/// Unpacks the example under `out`; files that are there with the same content are left alone.
///
/// # Errors
/// When a file cannot be written.
pub(crate) fn unpack(out: &Path) -> Result<Unpacked> {
    let root = out.join("embedded");
    for (name, bytes) in FILES {
        let path = root.join(name);
        if fs::read(&path).is_ok_and(|there| there == bytes) {
            continue;
        }
        let written = (|| {
            let folder = path.parent().unwrap_or(&root);
            fs::create_dir_all(folder)?;
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(bytes)?;
            file.persist(&path)?;
            Ok::<(), std::io::Error>(())
        })();
        written.with_context(|| format!("cannot write {}", path.display()))?;
    }
    let digits = root.join("digits");
    Ok(Unpacked {
        model: root.join("model"),
        train: digits.join("train.json"),
        val: digits.join("val.json"),
        test: digits.join("test.json"),
        images: digits.join("images.zip"),
    })
}
