//! The second model: its sizes, its tokenizer, its pre-training.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokenizers::{
    AddedToken, DecoderWrapper, NormalizerWrapper, PostProcessorWrapper, TokenizerImpl,
    models::bpe::{BPE, BpeTrainer},
    pre_tokenizers::byte_level::ByteLevel,
};

use super::{
    SIDE,
    clipart::Parts,
    stream::{self, PictureStream},
};
use crate::{
    idefics3::{self, SPECIAL, Shape},
    pretrain::{self, Recipe, schedule::Schedule},
};

/// Tokens of the tokenizer, and rows of the embedding table.
pub const VOCABULARY: usize = 1024;

/// Batches of validation.
const VALIDATED: usize = 16;

/// Nine image tokens a picture; 1.1 million weights.
pub const SHAPE: Shape = Shape { side: SIDE, patch: 8, vision: 96, text: 96, inner: 256, table: VOCABULARY };

/// The schedule of pre-training.
pub fn recipe() -> Recipe {
    Recipe {
        batch: 32,
        reading: Schedule { steps: 500, warmup: 30, peak: 2e-3, last: 2e-4 },
        answering: Schedule { steps: 1400, warmup: 100, peak: 2e-3, last: 4e-5 },
        ..Recipe::default()
    }
}

/// Writes all files of the model into `directory`: configuration, tokenizer, and weights trained by `recipe` on what
/// `pictures.py` wrote into `source`.
///
/// # Errors
/// When a file is missing or wrong, or one cannot be written.
pub fn write(source: &Path, directory: &Path, recipe: &Recipe) -> Result<()> {
    let clipart = source.join("clipart");
    let parts = Parts::read(&clipart)?;
    let pictures = stream::shown(&clipart, &parts.pretraining)?;
    let tokenizer = tokenizer(&stream::texts(&pictures))?;
    for (name, content) in idefics3::files(&SHAPE, &tokenizer) {
        crate::write_file(&directory.join(name), content.as_bytes())?;
    }
    let validation = stream::validation(&stream::shown(&clipart, &parts.check)?, VALIDATED * recipe.batch);
    pretrain::train(directory, &mut PictureStream::new(pictures, recipe.seed), &validation, recipe)
}

/// `tokenizer.json`: byte pairs, trained on texts; every text can be written in it.
///
/// # Errors
/// When training fails.
pub fn tokenizer(texts: &[String]) -> Result<Value> {
    type Bytes = TokenizerImpl<BPE, NormalizerWrapper, ByteLevel, PostProcessorWrapper, DecoderWrapper>;
    let special = SPECIAL.map(|token| AddedToken::from(token, true)).to_vec();
    let mut trainer = BpeTrainer::builder()
        .show_progress(false)
        .vocab_size(VOCABULARY)
        .special_tokens(special)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        .build();
    let mut tokenizer = Bytes::new(BPE::default());
    tokenizer.with_pre_tokenizer(Some(bytes()));
    // In a conversation a blank goes before a text.
    let written = texts.iter().map(|text| format!(" {text}"));
    let template = ["User:", "Assistant:", "\n"].into_iter().map(String::from);
    tokenizer.train(&mut trainer, written.chain(template)).map_err(anyhow::Error::msg)?;
    let model = serde_json::to_value(tokenizer.get_model()).context("the trained model as JSON")?;
    let bytes = serde_json::to_value(bytes()).context("the byte level as JSON")?;
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": idefics3::added_tokens(),
        "normalizer": null,
        "pre_tokenizer": bytes,
        "post_processor": null,
        "decoder": bytes,
        "model": model,
    }))
}

fn bytes() -> ByteLevel {
    ByteLevel::default().add_prefix_space(false)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokenizers::Tokenizer;

    #[test]
    fn every_text_comes_back_from_its_tokens() {
        let texts: Vec<String> = (0..200).map(|n| format!("a red bird number {n}, flying")).collect();
        let made = tokenizer(&texts).unwrap();
        assert_eq!(made, tokenizer(&texts).unwrap());
        let read: Tokenizer = serde_json::from_value(made).unwrap();
        for (id, token) in SPECIAL.iter().enumerate() {
            assert_eq!(read.token_to_id(token), Some(id as u32));
        }
        for text in ["a red bird", " Is it filed under été, 漢字?\n", "Assistant: yes"] {
            let tokens = read.encode(text, false).unwrap();
            assert!(
                tokens.get_ids().iter().all(|&id| id >= SPECIAL.len() as u32 && (id as usize) < VOCABULARY)
            );
            assert_eq!(read.decode(tokens.get_ids(), false).unwrap(), text);
        }
        assert_eq!(read.encode(" bird", false).unwrap().len(), 1);
    }
}
