//! What the processor makes of a sample.

use super::tiles::Tiles;

/// A sample as the model takes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Encoded {
    /// The sample's id.
    pub id: String,
    /// Token ids of the whole conversation, `[tokens]`.
    pub ids: Vec<u32>,
    /// For each token, whether the model must generate it, `[tokens]`.
    pub answer: Vec<bool>,
    /// The images.
    pub tiles: Tiles,
    /// Number of tokens in `ids` that image features replace.
    pub image_tokens: usize,
}

impl Encoded {
    /// Number of tokens that the model must generate.
    pub fn answer_tokens(&self) -> usize {
        self.answer.iter().filter(|&&answer| answer).count()
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
