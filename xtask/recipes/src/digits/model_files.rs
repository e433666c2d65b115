//! The tiny Idefics3: its sizes, and a tokenizer of whole words.

use std::path::Path;

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::{canvas::CANVAS, words};
use crate::idefics3::{self, Shape, UNKNOWN};

fn shape() -> Shape {
    Shape { side: CANVAS, patch: 6, vision: 64, text: 96, inner: 256, table: words::table_size() }
}

/// Writes every file but the weights into `directory`.
///
/// # Errors
/// When a file cannot be written.
pub fn write(directory: &Path) -> Result<()> {
    for (name, content) in files() {
        crate::write_file(&directory.join(name), content.as_bytes())?;
    }
    Ok(())
}

/// Name and content of every file but the weights.
pub fn files() -> Vec<(&'static str, String)> {
    idefics3::files(&shape(), &tokenizer())
}

/// Whole words, single digits, newlines and punctuation; blanks only separate.
fn tokenizer() -> Value {
    let vocabulary: Map<String, Value> =
        words::all().into_iter().enumerate().map(|(id, word)| (word.to_string(), id.into())).collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": idefics3::added_tokens(),
        "normalizer": null,
        "pre_tokenizer": {
            "type": "Split",
            "pattern": {"Regex": "[A-Za-z]+(?:-[A-Za-z]+)*|[0-9]|\\n|[^\\sA-Za-z0-9]"},
            "behavior": "Removed",
            "invert": true,
        },
        "post_processor": null,
        "decoder": null,
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": UNKNOWN},
    })
}
