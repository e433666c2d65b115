//! Rotary positions in the "rotate half" form of Hugging Face checkpoints
//! (Su et al. 2021, arXiv 2104.09864; burn's own `RotaryEncoding` pairs neighbours instead), along a line, over the
//! plane of an image, or along the three axes of M-RoPE (Wang et al. 2024, arXiv 2409.12191; interleaved: Bai et al.
//! 2025, arXiv 2511.21631).
//!
//! Reference: `LlamaRotaryEmbedding`, `VisionRotaryEmbedding`, `apply_multimodal_rotary_pos_emb` and
//! `apply_interleaved_mrope` (transformers 4.57). Angles are computed in f64 and rounded to f32 as cosines and sines,
//! where the reference multiplies in f32: positions in the tens of thousands differ in the last digits.

use super::line_rope::{LineRope, frequency};
use burn::tensor::{Device, Tensor, TensorData};
use mars_lora::ops;

/// Which frequencies follow which axis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sections {
    /// Frequencies that follow time, row and column, in this order; they sum to half the width of a head.
    pub(crate) counts: [usize; 3],
    /// Whether the axes take turns, and time has what is left, instead of standing one behind the other.
    pub(crate) interleaved: bool,
}

impl Sections {
    /// The axis of frequency `i`: 0 for time, 1 for row, 2 for column.
    fn axis(self, i: usize) -> usize {
        let [time, row, _] = self.counts;
        match i % 3 {
            _ if !self.interleaved => usize::from(i >= time) + usize::from(i >= time + row),
            axis if i < 3 * self.counts[axis] => axis,
            _ => 0,
        }
    }
}

/// Cosines and sines `[B or 1, 1, S, W]`.
#[derive(Clone, Debug)]
pub(crate) struct Rope {
    cos: Tensor<4>,
    sin: Tensor<4>,
}

impl Rope {
    /// Angles `position * base^(-2 i / width)` for `positions` positions, stretched as `rope` says (interpolation: Chen et al.
    /// 2023, arXiv 2306.15595; by bands: Llama 3.1, arXiv 2407.21783).
    ///
    /// The table is `[1, 1, positions, width]`, the same for all sequences; `width` is that of a head and even.
    pub(crate) fn line(positions: usize, width: usize, rope: LineRope, device: &Device) -> Self {
        let angle = |p: usize, i: usize| p as f64 * rope.frequency(i, width);
        Self::new([1, positions], width, angle, device)
    }

    /// Each of the `width / 2` frequencies follows one of the axes time, row, column, as `sections` says. `axes` holds B *
    /// S positions.
    pub(crate) fn axes(
        axes: &[[u32; 3]],
        rows: usize,
        sections: Sections,
        (width, base): (usize, f64),
        device: &Device,
    ) -> Self {
        let angle = |p: usize, i: usize| f64::from(axes[p][sections.axis(i)]) * frequency(i, width, base);
        Self::new([rows, axes.len() / rows.max(1)], width, angle, device)
    }

    /// The first half of the frequencies follows the row, the second the column; both are those of half the width.
    /// `positions` holds the row and column of B * S patches.
    /// `width` is a multiple of 4; angles `row * base^(-4 i / width)` and `column * base^(-4 i / width)`.
    pub(crate) fn plane(
        positions: &[(u32, u32)],
        rows: usize,
        (width, base): (usize, f64),
        device: &Device,
    ) -> Self {
        let quarter = width / 4;
        let angle = |p: usize, i: usize| {
            let along = if i < quarter { positions[p].0 } else { positions[p].1 };
            f64::from(along) * frequency(i % quarter, width / 2, base)
        };
        Self::new([rows, positions.len() / rows.max(1)], width, angle, device)
    }

    fn new(
        [rows, positions]: [usize; 2],
        width: usize,
        angle: impl Fn(usize, usize) -> f64,
        device: &Device,
    ) -> Self {
        let half = width / 2;
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for p in 0..rows * positions {
            let start = cos.len();
            for i in 0..half {
                let (s, c) = angle(p, i).sin_cos();
                cos.push(c as f32);
                sin.push(s as f32);
            }
            cos.extend_from_within(start..start + half);
            sin.extend_from_within(start..start + half);
        }
        let table = |values: Vec<f32>| -> Tensor<4> {
            Tensor::from_data(TensorData::new(values, [rows, 1, positions, width]), device)
        };
        Self { cos: table(cos), sin: table(sin) }
    }

    /// Cosines and sines.
    pub(crate) fn tables(&self) -> [Tensor<4>; 2] {
        [self.cos.clone(), self.sin.clone()]
    }

    /// Rotates `x` `[B, H, S, W]`: with its halves `a` and `b` along W, `[a cos - b sin, b cos + a sin]`.
    pub(crate) fn rotate(&self, x: Tensor<4>) -> Tensor<4> {
        ops::rotate(x, self.cos.clone(), self.sin.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axes(counts: [usize; 3], interleaved: bool) -> Vec<usize> {
        let sections = Sections { counts, interleaved };
        (0..counts.iter().sum()).map(|i| sections.axis(i)).collect()
    }

    #[test]
    fn axes_stand_behind_each_other_or_take_turns() {
        assert_eq!(axes([2, 3, 1], false), [0, 0, 1, 1, 1, 2]);
        assert_eq!(axes([4, 2, 2], true), [0, 1, 2, 0, 1, 2, 0, 0]);
        // Time has what the others leave, also where it should have less.
        assert_eq!(axes([0, 3, 3], true), [0, 1, 2, 0, 1, 2]);
    }
}
