//! What `tokenizer_config.json` changes in the tokenizer of `tokenizer.json`, as in the fast tokenizers of transformers
//! 4.57.3: flags of added tokens, a blank before the text, the tokens that open and close it.

use super::{files, tokenizer_class};
use crate::{Error, chat::SpecialTokens};
use serde_json::{Map, Value};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};
use tokenizers::{AddedToken, PreTokenizerWrapper, Tokenizer, processors::template::TemplateProcessing};

const COPY: &str = "copy the file from the checkpoint again";

/// The settings of a tokenizer.
pub(super) struct TokenizerConfig {
    path: PathBuf,
    /// The class of the tokenizer, if one is known.
    class: Option<String>,
    values: Map<String, Value>,
}

impl TokenizerConfig {
    /// Reads the file of `dir`; one that is not there changes nothing but by the class of the model's tokenizer.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Malformed`]; [`Error::Config`] for special tokens that are to be split.
    pub(super) fn from_dir(dir: &Path) -> Result<Self, Error> {
        let path = dir.join("tokenizer_config.json");
        let values = files::object(&path)?.unwrap_or_default();
        if values.get("split_special_tokens") == Some(&Value::Bool(true)) {
            let what =
                "split_special_tokens is true: image tokens and ends of turns would be split into letters";
            return Err(Error::config(&path, what, "set it to false"));
        }
        let class = tokenizer_class::of_dir(dir, &values)?;
        Ok(Self { path, class, values })
    }

    /// Tokens to add to those of `tokenizer.json`, or to replace them with other flags; all are in the vocabulary.
    ///
    /// The flags in `added_tokens_decoder` count before those of `tokenizer.json`. Special tokens that neither lists, and
    /// the token `image`, are added with the usual flags.
    ///
    /// # Errors
    /// [`Error::Malformed`] for entries that are no tokens.
    pub(super) fn added_tokens(
        &self,
        tokenizer: &Tokenizer,
        special: &SpecialTokens,
        image: &str,
    ) -> Result<Vec<AddedToken>, Error> {
        let listed = match self.values.get("added_tokens_decoder") {
            None | Some(Value::Null) => None,
            Some(Value::Object(listed)) => Some(listed),
            Some(_) => return Err(Error::malformed(&self.path, "added_tokens_decoder is no object", COPY)),
        };
        let named: BTreeSet<&str> =
            special.named.values().map(String::as_str).chain(self.additional()).collect();
        let in_file: BTreeSet<String> =
            tokenizer.get_added_tokens_decoder().values().map(|token| token.content.clone()).collect();
        let mut tokens = Vec::new();
        for (id, entry) in listed.into_iter().flatten() {
            tokens.push(self.token(&format!("{id} of added_tokens_decoder"), entry, &named)?);
        }
        for (name, entry) in
            self.values.iter().filter(|(name, entry)| name.ends_with("_token") && entry.is_object())
        {
            let token = self.token(name, entry, &named)?;
            // Files without a list are of older versions, where the flags of tokenizer.json count.
            let is_listed = match listed {
                Some(_) => tokens.iter().any(|other: &AddedToken| other.content == token.content),
                None => in_file.contains(&token.content),
            };
            if !is_listed {
                tokens.push(token);
            }
        }
        let is_known =
            |text: &str| in_file.contains(text) || tokens.iter().any(|token| token.content == text);
        // This processor adds its tokens itself, with the usual flags.
        let replaced =
            self.values.get("processor_class").and_then(Value::as_str) == Some("Idefics3Processor");
        let of_processor = [image, "<fake_token_around_image>", "<end_of_utterance>"];
        let others = named.iter().copied().filter(|text| !is_known(text));
        let others = others.chain(of_processor.into_iter().filter(|text| replaced || !is_known(text)));
        let others: Vec<AddedToken> = others.map(|text| AddedToken::from(text, true)).collect();
        tokens.extend(others);
        tokens.retain(|token| tokenizer.token_to_id(&token.content).is_some());
        Ok(tokens)
    }

    /// The pre-tokenizer, where it is of bytes and this file says whether it puts a blank before a text.
    pub(super) fn pre_tokenizer(&self, tokenizer: &Tokenizer) -> Option<PreTokenizerWrapper> {
        let Some(PreTokenizerWrapper::ByteLevel(bytes)) = tokenizer.get_pre_tokenizer() else { return None };
        let blank = match (self.class.as_deref()?, self.values.get("add_prefix_space")) {
            // The first reads the model of sentencepiece instead, the second, of transformers 5, does not change it.
            ("LlamaTokenizer" | "TokenizersBackend", _) => return None,
            (_, None) => false,
            (_, Some(blank)) => blank.as_bool()?,
        };
        Some(PreTokenizerWrapper::ByteLevel(bytes.add_prefix_space(blank)))
    }

    /// What opens and closes a text, for a class that does not leave that to `tokenizer.json`.
    ///
    /// # Errors
    /// [`Error::Config`] for a token that is to be added and that there is not.
    pub(super) fn post_processor(
        &self,
        tokenizer: &Tokenizer,
        special: &SpecialTokens,
    ) -> Result<Option<TemplateProcessing>, Error> {
        if self.class.as_deref().and_then(tokenizer_class::framing).is_none() {
            return Ok(None);
        }
        // Where the class is only what such models usually have, its token may not be there.
        let opens = special.get("bos_token").is_some_and(|token| tokenizer.token_to_id(token).is_some());
        if !opens && ["tokenizer_class", "add_bos_token"].iter().all(|key| !self.values.contains_key(*key)) {
            return Ok(None);
        }
        let opening = self.added("add_bos_token", true, "bos_token", tokenizer, special)?;
        let closing = self.added("add_eos_token", false, "eos_token", tokenizer, special)?;
        let text = |token: &(String, u32)| token.0.clone();
        let pieces = opening.iter().map(text).chain(["$A".to_string()]).chain(closing.iter().map(text));
        let pieces: Vec<String> = pieces.collect();
        let tokens: Vec<(String, u32)> = opening.into_iter().chain(closing).collect();
        let refused =
            |why: String| Error::config(&self.path, why, "take bos_token and eos_token from the checkpoint");
        let mut template = TemplateProcessing::builder();
        template.try_single(pieces).map_err(refused)?;
        template.special_tokens(tokens);
        template.build().map(Some).map_err(|why| refused(why.to_string()))
    }

    /// The token called `name` and its id, if the setting `switch` says that texts get it.
    fn added(
        &self,
        switch: &str,
        by_default: bool,
        name: &str,
        tokenizer: &Tokenizer,
        special: &SpecialTokens,
    ) -> Result<Option<(String, u32)>, Error> {
        let refused = |what: String| {
            let remedy = format!("name a token of tokenizer.json as {name}, or set {switch} to false");
            Error::config(&self.path, what, remedy)
        };
        match self.values.get(switch) {
            None if by_default => {}
            Some(Value::Bool(true)) => {}
            None | Some(Value::Null | Value::Bool(false)) => return Ok(None),
            Some(other) => return Err(refused(format!("{switch} is {other}, expected true or false"))),
        }
        let token =
            special.get(name).ok_or_else(|| refused(format!("{switch} is true, but there is no {name}")))?;
        match tokenizer.token_to_id(token) {
            Some(id) => Ok(Some((token.to_string(), id))),
            None => Err(refused(format!("{switch} is true, but {name} {token:?} is not in the vocabulary"))),
        }
    }

    /// The texts of `additional_special_tokens`.
    fn additional(&self) -> impl Iterator<Item = &str> {
        let list = self.values.get("additional_special_tokens").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(content)
    }

    /// A token with its flags; those in `named` are special.
    fn token(&self, place: &str, entry: &Value, named: &BTreeSet<&str>) -> Result<AddedToken, Error> {
        let Some(text) = entry.get("content").and_then(Value::as_str) else {
            let what = format!("{place} is {entry}, expected an object whose content is a text");
            return Err(Error::malformed(&self.path, what, COPY));
        };
        let flag = |name: &str| match entry.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(other) => {
                let what = format!("{name} of {text:?} is {other}, expected true or false");
                Err(Error::malformed(&self.path, what, COPY))
            }
        };
        let token = AddedToken::from(text, flag("special")?.unwrap_or(false) || named.contains(text))
            .single_word(flag("single_word")?.unwrap_or(false))
            .lstrip(flag("lstrip")?.unwrap_or(false))
            .rstrip(flag("rstrip")?.unwrap_or(false));
        Ok(match flag("normalized")? {
            Some(normalized) => token.normalized(normalized),
            None => token,
        })
    }
}

/// The text of a token, which is a text or an object with the text as `content`.
fn content(token: &Value) -> Option<&str> {
    token.as_str().or_else(|| token.get("content").and_then(Value::as_str))
}
