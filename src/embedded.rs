//! The embedded task: a tiny pre-trained model and pictures of real handwritten digits, carried in the library and unpacked
//! where they are needed.

use crate::{Error, files};
use mars_lora::stored::regular;
use std::path::{Path, PathBuf};

macro_rules! assets {
    ($($path:literal),* $(,)?) => {
        [$(($path, include_bytes!(concat!("../assets/", $path)).as_slice())),*]
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

/// The files of the embedded task, unpacked.
#[derive(Clone, Debug)]
pub struct Unpacked {
    /// Hugging Face directory of the model.
    pub model: PathBuf,
    /// Training data.
    pub train: PathBuf,
    /// Validation data.
    pub val: PathBuf,
    /// Test data.
    pub test: PathBuf,
    /// Zip archive of the images.
    pub images: PathBuf,
}

/// Unpacks the task under `out`; files that are there with the same content are left alone.
///
/// # Errors
/// When a file cannot be read or written.
pub fn unpack(out: &Path) -> Result<Unpacked, Error> {
    let root = out.join("embedded");
    for (name, bytes) in FILES {
        let path = root.join(name);
        match regular::read(&path, bytes.len() as u64) {
            Ok(there) if there == bytes => continue,
            Err(error) if !regular::is_absence(&error) && !regular::is_content(&error) => {
                return Err(Error::io("read", &path)(error));
            }
            _ => {}
        }
        files::create_directories(path.parent().unwrap_or(&root))?;
        files::write(&path, bytes)?;
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
