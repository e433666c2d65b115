//! Tasks as files: archives of pictures, and lists of questions as LLaVA JSON.

use std::io::{Cursor, Write as _};

use anyhow::Result;
use serde_json::{Value, json};
use zip::{CompressionMethod, DateTime, ZipWriter, write::SimpleFileOptions};

/// An archive in memory. Files are stored without a second compression, at the earliest time a zip can hold: same content, same bytes.
#[derive(Debug)]
pub struct Archive(ZipWriter<Cursor<Vec<u8>>>);

impl Default for Archive {
    fn default() -> Self {
        Self(ZipWriter::new(Cursor::new(Vec::new())))
    }
}

impl Archive {
    /// Adds a file.
    ///
    /// # Errors
    /// When the name is there already.
    pub fn add(&mut self, name: &str, content: &[u8]) -> Result<()> {
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .unix_permissions(0o644);
        self.0.start_file(name, options)?;
        Ok(self.0.write_all(content)?)
    }

    /// Its bytes.
    ///
    /// # Errors
    /// Never at present, as it is in memory.
    pub fn finish(self) -> Result<Vec<u8>> {
        Ok(self.0.finish()?.into_inner())
    }
}

/// A question about a picture and its answer.
pub fn sample(id: &str, picture: &str, question: &str, answer: &str) -> Value {
    json!({
        "id": id,
        "image": picture,
        "conversations": [
            {"from": "human", "value": format!("<image>\n{question}")},
            {"from": "gpt", "value": answer},
        ],
    })
}

/// One sample on each line.
pub fn list(samples: &[Value]) -> Vec<u8> {
    let lines: Vec<String> = samples.iter().map(Value::to_string).collect();
    format!("[\n{}\n]\n", lines.join(",\n")).into_bytes()
}
