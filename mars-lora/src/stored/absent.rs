//! Why a folder has no weights that are read: what it is, or what it has instead.

use super::io;
use super::shards::{INDEX, SINGLE};
use crate::Error;
use std::path::Path;

/// Files that say what a folder without weights is; the first that fits counts.
const CAUSES: [(&[&str], &str); 7] = [
    (
        &["adapter_config.json", "adapter_model.safetensors"],
        "the folder of an adapter, not of a model; give the folder of its base model, and this one as the adapter",
    ),
    (
        &["pytorch_model*", "model.bin", "*.pth", "*.pt", "*.ckpt", "*.bin"],
        "a pickle, which can run code and is not read; load the model with transformers and call \
         save_pretrained(dir, safe_serialization=True)",
    ),
    (
        &["*.gguf", "*.ggml"],
        "weights for llama.cpp, which are not read; take the model that they were made from, in safetensors",
    ),
    (
        &["model-*-of-*.safetensors"],
        "a part of divided weights without their index, model.safetensors.index.json; fetch or copy that as well",
    ),
    (
        &["consolidated*.safetensors", "params.json"],
        "weights under the names of another program; take the model as transformers saves it",
    ),
    (
        &["*.safetensors"],
        "weights under another name; rename the file to model.safetensors if it holds the whole model",
    ),
    (
        &["*.h5", "*.msgpack", "*.onnx", "*.npz", "*.tflite"],
        "weights of another framework, which are not read; load the model with transformers and call \
         save_pretrained(dir, safe_serialization=True)",
    ),
];

/// What a folder has instead of weights, as an error, or why that cannot be told; none if it has nothing that explains it.
pub(super) fn cause(dir: &Path) -> Option<Error> {
    if let Some(why) = no_folder(dir) {
        return Some(why);
    }
    let names = std::fs::read_dir(dir).and_then(|entries| {
        entries
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<std::io::Result<Vec<_>>>()
    });
    let mut names = match names {
        Ok(names) => names,
        Err(e) => return Some(io(dir)(e)),
    };
    names.sort();
    let found = CAUSES.iter().find_map(|(patterns, what)| {
        let name = names.iter().find(|name| patterns.iter().any(|pattern| fits(name, pattern)))?;
        Some((name, *what))
    });
    let (name, what) = found?;
    let why = format!("no such file, only {name}, {what}");
    // Divided weights are looked for by their index.
    let path = dir.join(if what.contains(INDEX) { INDEX } else { SINGLE });
    Some(Error::BadFile { path, why })
}

/// What is wrong with `dir` as a folder, if anything.
pub(crate) fn no_folder(dir: &Path) -> Option<Error> {
    let why = match std::fs::metadata(dir) {
        Ok(found) if found.is_dir() => return None,
        Ok(_) => "it is a file; give the folder that holds it and the files beside it",
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => "there is no such folder; check the path",
        Err(e) if e.kind() == std::io::ErrorKind::NotADirectory => {
            "there is no such folder, since a part of the path is a file; check the path"
        }
        Err(e) => return Some(io(dir)(e)),
    };
    Some(Error::BadFile { path: dir.to_path_buf(), why: why.to_string() })
}

/// Whether a name has the parts of `pattern` between its stars, the first at its beginning and the last at its end.
fn fits(name: &str, pattern: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut ended = !pattern.contains('*') && rest.is_empty();
    for part in parts {
        ended = part.is_empty() || rest.ends_with(part);
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    ended
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_text() {
        for (name, pattern, expected) in [
            ("a.gguf", "*.gguf", true),
            ("a.gguf.txt", "*.gguf", false),
            ("pytorch_model-1.bin", "pytorch_model*", true),
            ("model-1-of-2.safetensors", "model-*-of-*.safetensors", true),
            ("model-1.safetensors", "model-*-of-*.safetensors", false),
            ("params.json", "params.json", true),
            ("params.json5", "params.json", false),
        ] {
            assert_eq!(fits(name, pattern), expected, "{name} {pattern}");
        }
    }
}
