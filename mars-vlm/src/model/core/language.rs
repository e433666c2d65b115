//! A decoder with its output layer: embeddings to losses.

use super::loss::{self, Scored};
use super::text::TextModel;
use super::text_config::TextConfig;
use crate::Error;
use crate::checkpoint::Loader;
use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor};

/// A language model.
#[derive(Module, Debug)]
pub struct LanguageModel {
    /// Decoder.
    pub text: TextModel,
    /// Output layer `[width, vocabulary]`; absent when it is the embedding table (as it is without adapters: PEFT's
    /// act on the embeddings alone, too).
    pub lm_head: Option<Param<Tensor<2>>>,
}

impl LanguageModel {
    /// `path` is the decoder's; the output layer is `lm_head`.
    ///
    /// `tied` is what `config.json` says. Where only its top level says so, beside a `text_config` that does not, an
    /// output layer in the file counts, as in `transformers` 4.57, which asks `text_config` alone.
    ///
    /// # Errors
    /// Those of [`TextModel::load`] and [`Loader::transposed`].
    pub(crate) fn load(
        loader: &mut Loader<'_>,
        path: &str,
        config: &TextConfig,
        tied: bool,
    ) -> Result<Self, Error> {
        let text = TextModel::load(loader, path, config)?;
        const HEAD: &str = "lm_head.weight";
        let lm_head = match tied && (config.tie_word_embeddings.is_some() || !loader.contains(HEAD)) {
            true => None,
            false => Some(loader.transposed(HEAD, &[config.vocab_size, config.hidden_size])?),
        };
        Ok(Self { text, lm_head })
    }

    /// The output layer `[width, vocabulary]`.
    fn head(&self) -> Tensor<2> {
        match &self.lm_head {
            Some(head) => head.val(),
            None => self.text.embed_tokens.weight.val().transpose(),
        }
    }

    /// Logits of rows of hidden states, `[N, vocabulary]`.
    pub(crate) fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        loss::logits(hidden, &self.head())
    }

    /// Cross-entropies of the tokens `targets` `[N]` after the hidden states `[N, width]`.
    pub(crate) fn losses(&self, hidden: Tensor<2>, targets: Tensor<1, Int>, score: bool) -> Scored {
        loss::cross_entropy(hidden, self.head(), targets, score)
    }
}
