//! The frequencies of rotary positions along a line, plain or stretched for texts that are longer than those a model was first
//! trained on.
//!
//! Reference: `_compute_linear_scaling_rope_parameters` and `_compute_llama3_parameters` (transformers 4.57).

use std::f64::consts::TAU;

/// Rotary positions along a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LineRope {
    /// Base of the frequencies.
    pub base: f64,
    /// What positions are divided by (`factor` of `linear` and `llama3`); 1 where they are plain.
    pub stretch: f64,
    /// Frequencies for which they are not; `None`: they are for all.
    pub bands: Option<RopeBands>,
}

/// Three bands of frequencies (`llama3`): with n turns in `original` positions, those of `high` turns and more stay as they are,
/// those of `low` turns and less are stretched, and between these the two are mixed in proportion to n.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RopeBands {
    /// Longest sequence of the first training (`original_max_position_embeddings`).
    /// In tokens, greater than 0.
    pub original: f64,
    /// Turns (`low_freq_factor`), greater than 0.
    pub low: f64,
    /// Turns (`high_freq_factor`), greater than `low`.
    pub high: f64,
}

impl LineRope {
    /// Positions that nothing stretches.
    pub fn plain(base: f64) -> Self {
        Self { base, stretch: 1.0, bands: None }
    }

    /// Radians per position of frequency `i` of a head of `width` values.
    pub(super) fn frequency(&self, i: usize, width: usize) -> f64 {
        let plain = frequency(i, width, self.base);
        let Some(RopeBands { original, low, high }) = self.bands else { return plain / self.stretch };
        let turns = original * plain / TAU;
        let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
        kept * plain + (1.0 - kept) * plain / self.stretch
    }
}

/// `base^(-2 i / width)`, radians per position.
pub(super) fn frequency(i: usize, width: usize, base: f64) -> f64 {
    base.powf(-2.0 * i as f64 / width as f64)
}
