//! What the processor makes of a sample.

use super::pixels::Pixels;

/// A sample as the model takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// The sample's id.
    pub id: String,
    /// Its tokens.
    pub text: EncodedText,
    /// The images.
    pub pixels: Pixels,
}

/// The tokens of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EncodedText {
    /// Token ids of the whole conversation, `[tokens]`.
    pub ids: Vec<u32>,
    /// For each token, whether the model must generate it, `[tokens]`; never the first.
    pub answers: Vec<bool>,
    /// Time, row and column of each token, where the family's positions have three axes.
    /// `[tokens]`; `None` where positions count the tokens.
    pub positions: Option<Vec<[u32; 3]>>,
    /// Number of tokens in `ids` that image features replace.
    pub image_tokens: usize,
}

impl EncodedText {
    /// Number of tokens that the model must generate.
    pub fn answer_tokens(&self) -> usize {
        self.answers.iter().filter(|&&answer| answer).count()
    }
}

/// Lengths of an encoded sample, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenCount {
    /// All tokens.
    pub total: usize,
    /// Tokens that image features replace.
    pub image: usize,
    /// Tokens that the model must generate.
    pub answer: usize,
}

impl TokenCount {
    /// The lengths of `text`.
    pub(super) fn of(text: &EncodedText) -> Self {
        Self { total: text.ids.len(), image: text.image_tokens, answer: text.answer_tokens() }
    }
}
