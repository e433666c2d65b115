//! What a processor must know of the model: vocabulary, image token, length, tokens per tile.

use super::files;
use crate::Error;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// The facts of `config.json` and `processor_config.json` that bind the processor to the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelFacts {
    /// The model directory.
    pub dir: PathBuf,
    /// Rows of the embedding table.
    pub vocab_size: Option<usize>,
    /// Id whose embeddings are replaced by image features.
    pub image_token_id: Option<u32>,
    /// Longest sequence in tokens.
    pub max_len: Option<usize>,
    /// Image tokens per tile.
    pub image_seq_len: usize,
}

impl ModelFacts {
    /// Reads the files of `dir`; `tile` is the side of a tile in pixels.
    ///
    /// `image_seq_len` stands in `processor_config.json` (older checkpoints), else it is derived as
    /// `(tile / patch_size)^2 / scale_factor^2`; where both are known they must agree.
    ///
    /// # Errors
    /// [`Error::Config`] if it is neither given nor derivable, or contradictory.
    pub fn from_dir(dir: &Path, tile: usize) -> Result<Self, Error> {
        let config = files::object(&dir.join("config.json"))?.unwrap_or_default();
        let number =
            |map: &Map<String, Value>, key: &str| map.get(key).and_then(Value::as_u64).map(|n| n as usize);
        let empty = Map::new();
        let part = |key: &str| config.get(key).and_then(Value::as_object).unwrap_or(&empty);
        let (text, vision) = (part("text_config"), part("vision_config"));
        let derived =
            number(vision, "patch_size").zip(number(&config, "scale_factor")).map(|(patch, scale)| {
                let features = (tile / patch.max(1)).pow(2);
                (features / scale.max(1).pow(2), patch, scale)
            });
        let given = files::object(&dir.join("processor_config.json"))?
            .and_then(|map| map.get("image_seq_len").and_then(Value::as_u64))
            .map(|n| n as usize);
        let image_seq_len = match (given, derived) {
            (Some(given), Some((derived, patch, scale))) if given != derived => {
                return Err(Error::config(
                    dir,
                    format!(
                        "image_seq_len is {given}, but a tile of {tile} pixels gives {derived} features \
                         (patch_size {patch}, scale_factor {scale})"
                    ),
                    "take processor_config.json, preprocessor_config.json and config.json from one checkpoint",
                ));
            }
            (Some(n), _) | (None, Some((n, ..))) if n > 0 => n,
            _ => {
                return Err(Error::config(
                    dir,
                    "no image_seq_len in processor_config.json, and no patch_size and scale_factor in config.json",
                    "copy both files from the checkpoint",
                ));
            }
        };
        Ok(Self {
            dir: dir.to_path_buf(),
            vocab_size: number(text, "vocab_size").or_else(|| number(&config, "vocab_size")),
            image_token_id: number(&config, "image_token_id").and_then(|id| u32::try_from(id).ok()),
            max_len: number(text, "max_position_embeddings")
                .or_else(|| number(&config, "max_position_embeddings")),
            image_seq_len,
        })
    }
}
