//! Whether a path is the folder of a model: what it is otherwise.

use crate::Error;
use mars_lora::{peft, stored::regular};
use std::{fs, io::ErrorKind, path::Path};

/// Makes sure that `dir` is a folder, and not that of an adapter.
///
/// # Errors
/// [`Error::Config`] with what it is, and what to give instead.
pub(crate) fn check(dir: &Path) -> Result<(), Error> {
    match fs::metadata(dir) {
        Ok(found) if !found.is_dir() => {
            return Err(Error::config(
                dir,
                "it is a file, not the folder of a model",
                "give the folder that holds config.json, weights and tokenizer",
            ));
        }
        Err(e) if e.kind() == ErrorKind::NotFound || e.kind() == ErrorKind::NotADirectory => {
            return Err(Error::config(dir, "there is no such folder", "check the path of the model"));
        }
        Err(e) => return Err(Error::io(dir)(e)),
        Ok(_) => {}
    }
    let exists = |name: &str| {
        let path = dir.join(name);
        regular::exists(&path).map_err(Error::io(&path))
    };
    if !exists("config.json")? && exists("adapter_config.json")? {
        // The name of its base model only helps.
        let base = regular::read(&dir.join(peft::CONFIG_FILE), peft::LONGEST_CONFIG).ok();
        let base = base.and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok());
        let base = base.as_ref().and_then(|config| config["base_model_name_or_path"].as_str());
        let named = base.map_or_else(String::new, |base| {
            format!(" (adapter_config.json calls it {:?})", base.chars().take(200).collect::<String>())
        });
        return Err(Error::config(
            &dir.join("config.json"),
            "no such file, but adapter_config.json: this is the folder of an adapter, not of a model",
            format!("give the folder of its base model{named} as the model, and this one as the adapter"),
        ));
    }
    Ok(())
}

/// The error of a folder of a model that has no `config.json`.
#[cfg(feature = "model")]
pub(crate) fn no_config(dir: &Path) -> Error {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let with = entries.filter(|entry| entry.path().join("config.json").is_file());
    let inner = with.map(|entry| entry.file_name().to_string_lossy().into_owned()).max();
    let gguf = fs::read_dir(dir).into_iter().flatten().flatten();
    let gguf = gguf.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let (what, remedy) = match (inner, gguf.filter(|name| name.ends_with(".gguf")).min()) {
        (Some(inner), _) => {
            (format!("no such file, but the folder {inner} in it has one"), "give that folder")
        }
        (None, Some(name)) => (
            format!("no such file, only {name}, a model for llama.cpp, which is not read"),
            "take the model that it was made from, in safetensors",
        ),
        _ => ("no such file".to_string(), "give the directory of a Hugging Face model"),
    };
    Error::config(&dir.join("config.json"), what, remedy)
}
