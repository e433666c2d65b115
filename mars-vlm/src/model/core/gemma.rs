//! What the decoder of Gemma 3 does otherwise than Llama's (Gemma Team 2025, arXiv 2503.19786).
//!
//! Embeddings are multiplied by the root of their width; weights of norms are counted from 1; attention and feed-forward
//! network have a norm before and one after them; scores are divided by the root of a number of their own; some layers look
//! back over a window only and have rotary positions of another base; the tokens of a picture see each other.
//! Reference: `Gemma3TextModel` (transformers 4.57 and 5).

use super::line_rope::LineRope;

/// The settings of such a decoder.
#[derive(Clone, Debug, PartialEq)]
pub struct GemmaText {
    /// Scores are divided by its root (`query_pre_attn_scalar`), greater than 0.
    pub query_scalar: f64,
    /// Positions that layers with a window see, their own included; at least 1.
    pub window: usize,
    /// Whether the layer has a window, for each layer.
    pub local: Vec<bool>,
    /// Rotary positions of layers without a window.
    pub global_rope: LineRope,
    /// Rotary positions of layers with a window.
    pub local_rope: LineRope,
}

impl GemmaText {
    /// What queries of heads of `width` values are multiplied by beside `1 / sqrt(width)`, if by anything.
    pub(super) fn query_factor(&self, width: usize) -> Option<f64> {
        let width = width as f64;
        (width != self.query_scalar).then(|| (width / self.query_scalar).sqrt())
    }
}
