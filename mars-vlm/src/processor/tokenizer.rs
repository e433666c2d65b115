//! Text to token ids, with the position of each token in the text.

use super::{files, tokenizer_config::TokenizerConfig, tokenizer_limits};
use crate::{Error, chat::SpecialTokens};
use std::{
    collections::BTreeSet,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};
use tokenizers::Tokenizer;

/// A tokenizer read from `tokenizer.json`, which never truncates or pads.
#[derive(Clone, Debug)]
pub struct TextTokenizer {
    inner: Tokenizer,
    path: PathBuf,
    bos: Option<String>,
    /// Ids of tokens that take the blanks behind them.
    rstrip: BTreeSet<u32>,
}

/// The tokens of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Token ids.
    pub ids: Vec<u32>,
    /// Byte range of each token in the text with the blanks before it, without those behind it; empty for tokens
    /// that the tokenizer adds itself.
    pub spans: Vec<Range<usize>>,
}

impl Tokens {
    /// For each token, whether it touches one of the `ranges` of the text.
    pub fn inside(&self, ranges: &[Range<usize>]) -> Vec<bool> {
        let touches = |span: &Range<usize>| ranges.iter().any(|r| span.start < r.end && r.start < span.end);
        self.spans.iter().map(|span| !span.is_empty() && touches(span)).collect()
    }
}

impl TextTokenizer {
    /// Reads `tokenizer.json` in `dir`, and what `tokenizer_config.json` changes in it.
    ///
    /// The tokens in `special` that the vocabulary holds, and the token `image`, are never split, as Hugging Face's
    /// processors make sure of; none is added to the vocabulary.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if the file is malformed, or lets texts grow beyond any need; [`Error::Config`] if it is
    /// missing, or contradicts `tokenizer_config.json`; [`Error::Malformed`] and [`Error::Io`] of the latter.
    pub fn from_dir(dir: &Path, special: &SpecialTokens, image: &str) -> Result<Self, Error> {
        let path = dir.join("tokenizer.json");
        let refused = |e: tokenizers::Error| Error::Tokenizer { path: path.clone(), why: e.to_string() };
        let why = |why: String| Error::Tokenizer { path: path.clone(), why };
        let Some(text) = files::text(&path)? else {
            return Err(Error::config(&path, "no such file", "save the checkpoint with its fast tokenizer"));
        };
        tokenizer_limits::check(&text).map_err(why)?;
        let mut inner: Tokenizer = guarded(|| text.parse()).map_err(why)?;
        inner.with_truncation(None).map_err(refused)?;
        inner.with_padding(None);
        let config = TokenizerConfig::from_dir(dir)?;
        let added = config.added_tokens(&inner, special, image)?;
        guarded(|| inner.add_tokens(added)).map_err(why)?;
        if let Some(pre_tokenizer) = config.pre_tokenizer(&inner) {
            inner.with_pre_tokenizer(Some(pre_tokenizer));
        }
        if let Some(template) = config.post_processor(&inner, special)? {
            inner.with_post_processor(Some(template));
        }
        let added = inner.get_added_tokens_decoder();
        let rstrip = added.iter().filter(|(_, token)| token.rstrip).map(|(id, _)| *id).collect();
        Ok(Self { inner, path, bos: special.get("bos_token").map(str::to_string), rstrip })
    }

    /// The tokens of `text`.
    ///
    /// The tokenizer's own opening and closing tokens are added unless `text` already begins
    /// with the beginning-of-text token.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if the tokenizer cannot express the text.
    pub fn encode(&self, text: &str) -> Result<Tokens, Error> {
        let opened = self.bos.as_ref().is_some_and(|bos| text.starts_with(bos.as_str()));
        let refused = |why| Error::Tokenizer { path: self.path.clone(), why };
        let encoding = guarded(|| self.inner.encode(text, !opened)).map_err(refused)?;
        // Byte-level tokenizers report tokens without their blanks: a lone blank would have no
        // position at all. A token reaches back to the end of the one before it.
        let mut covered = 0;
        let spans = encoding
            .get_offsets()
            .iter()
            .zip(encoding.get_special_tokens_mask())
            .zip(encoding.get_ids())
            .map(|((&(start, end), &own), id)| {
                let taken = if self.rstrip.contains(id) { text.get(start..end) } else { None };
                let end = taken.map_or(end, |taken| start + taken.trim_end().len());
                let span = if own == 1 { 0..0 } else { start.min(covered)..end };
                covered = covered.max(span.end);
                span
            })
            .collect();
        Ok(Tokens { ids: encoding.get_ids().to_vec(), spans })
    }

    /// The text of `ids`, special tokens included.
    ///
    /// # Errors
    /// [`Error::Tokenizer`] if the decoder fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String, Error> {
        guarded(|| self.inner.decode(ids, false))
            .map_err(|why| Error::Tokenizer { path: self.path.clone(), why })
    }

    /// The id of a token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.inner.token_to_id(token)
    }

    /// One more than the largest id.
    pub fn vocab_size(&self) -> usize {
        self.inner.get_vocab(true).values().max().map_or(0, |id| *id as usize + 1)
    }

    /// The tokens that are never split.
    pub fn added_tokens(&self) -> Vec<String> {
        self.inner.get_added_tokens_decoder().values().map(|token| token.content.clone()).collect()
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// What the library answers, with a panic of it as an error: some files that it reads make it index out of bounds.
fn guarded<T>(call: impl FnOnce() -> tokenizers::Result<T>) -> Result<T, String> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(result) => result.map_err(|e| e.to_string()),
        Err(panic) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said = said.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given");
            Err(format!(
                "the tokenizer library fails on this file: {said}; copy it from the checkpoint again"
            ))
        }
    }
}
