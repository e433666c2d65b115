//! Which resolution an image is fitted into, and which features remain of its tiles
//! (transformers 4.57.3, `select_best_resolution` and `pack_image_features` of `LlavaOnevisionModel` and
//! `LlavaNextModel`).
//!
//! The features of all tiles form one picture. Those of the bars that filled up the resolution are cut off; if more
//! than `most_tiles` tiles' worth remain the picture is reduced bilinearly; a newline ends each of its rows. The
//! features of the whole image stand before it.

use super::Anyres;
use crate::processor::pixels::{Feature, Grid};
use std::ops::Range;

impl Anyres {
    /// Tiles of the resolution that keeps most of an image of this width and height, wasting least.
    ///
    /// For a resolution of w x h pixels the image keeps `min(floor(width s) floor(height s), width height)` pixels
    /// with `s = min(w / width, h / height)`; the largest of these wins, among equals the smallest rest `w h -
    /// kept`, then the first.
    pub(crate) fn grid(&self, (width, height): (usize, usize)) -> Grid {
        let mut best = (0, usize::MAX, self.tile, self.tile);
        for &(h, w) in &self.pinpoints {
            let scale = (w as f64 / width as f64).min(h as f64 / height as f64);
            let kept = (width as f64 * scale) as usize * (height as f64 * scale) as usize;
            let effective = kept.min(width * height);
            let wasted = w * h - effective;
            if effective > best.0 || (effective == best.0 && wasted < best.1) {
                best = (effective, wasted, h, w);
            }
        }
        Grid { rows: best.2 / self.tile, cols: best.3 / self.tile }
    }

    /// What stands at each image token of an image of this width and height.
    ///
    /// `side^2` features of the whole image, then the picture row by row. With c x r features in it and `ratio =
    /// sqrt(c r / (most_tiles side^2)) > 1.1` it is reduced to [`whole_parts`] of c and r.
    pub(super) fn tokens(&self, grid: Grid, size: (usize, usize)) -> Vec<Feature> {
        let side = self.side;
        let per_tile = side * side;
        let picture = (grid.cols * side, grid.rows * side);
        let (columns, rows) = unpadded(picture, size);
        // The whole image comes first, so the tiles begin after it.
        let feature = |row: usize, column: usize| {
            let (row, column) = (rows.start + row, columns.start + column);
            let tile = 1 + row / side * grid.cols + column / side;
            (tile * per_tile + row % side * side + column % side) as u32
        };
        let (width, height) = (columns.len(), rows.len());
        let mut tokens: Vec<Feature> = (0..per_tile as u32).map(Feature::Row).collect();
        let most = self.most_tiles.map_or(f64::INFINITY, |tiles| (tiles * per_tile) as f64);
        let ratio = ((width * height) as f64 / most).sqrt();
        if ratio > 1.1 {
            let across = taps(width, whole_parts(width, ratio));
            for (r0, r1, down) in taps(height, whole_parts(height, ratio)) {
                for &(c0, c1, right) in &across {
                    tokens.push(Feature::Blend([
                        (feature(r0, c0), (1.0 - down) * (1.0 - right)),
                        (feature(r0, c1), (1.0 - down) * right),
                        (feature(r1, c0), down * (1.0 - right)),
                        (feature(r1, c1), down * right),
                    ]));
                }
                tokens.push(Feature::Newline);
            }
        } else {
            for row in 0..height {
                tokens.extend((0..width).map(|column| Feature::Row(feature(row, column))));
                tokens.push(Feature::Newline);
            }
        }
        tokens
    }
}

/// Columns and rows of a picture of features that an image of this size fills; bars are on two sides only.
fn unpadded(
    (columns, rows): (usize, usize),
    (width, height): (usize, usize),
) -> (Range<usize>, Range<usize>) {
    let inner = |whole: usize, side: usize, scale: f64| {
        let filled = ((side as f64 * scale * 1e7).round_ties_even() / 1e7) as usize;
        let bar = whole.saturating_sub(filled) / 2;
        bar..whole - bar
    };
    if width as f64 / height as f64 > columns as f64 / rows as f64 {
        (0..columns, inner(rows, height, columns as f64 / width as f64))
    } else {
        (inner(columns, width, rows as f64 / height as f64), 0..rows)
    }
}

/// How often `ratio` goes into `count`, as Python's `//` has it: of the exact quotient, which can lie below a whole number
/// to which the quotient is rounded (135 and 1 2/3: 80, not 81).
fn whole_parts(count: usize, ratio: f64) -> usize {
    let count = count as f64;
    ((count - count % ratio) / ratio).round() as usize
}

/// For each of `to` points, its two neighbours among `from` and the weight of the second; pixel centres count, as in
/// PyTorch without `align_corners`.
fn taps(from: usize, to: usize) -> Vec<(usize, usize, f32)> {
    let scale = from as f32 / to as f32;
    let tap = |n: usize| {
        let place = (scale * (n as f32 + 0.5) - 0.5).max(0.0);
        let first = (place as usize).min(from - 1);
        (first, (first + 1).min(from - 1), place - first as f32)
    };
    (0..to).map(tap).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bars_are_cut_off_equally_on_two_sides() {
        assert_eq!(unpadded((54, 27), (200, 100)), (0..54, 0..27));
        assert_eq!(unpadded((27, 27), (200, 100)), (0..27, 7..20));
        assert_eq!(unpadded((27, 54), (100, 100)), (0..27, 13..41));
        assert_eq!(unpadded((54, 27), (100, 100)), (13..41, 0..27));
    }

    /// `mars-vlm/tests/oracle/anyres_tokens.py`.
    #[test]
    fn images_of_all_sizes_have_as_many_tokens_as_in_the_reference() {
        let pinpoints = (1..=6).flat_map(|rows| (1..=6).map(move |cols| (rows * 384, cols * 384))).collect();
        let onevision = Anyres { tile: 384, side: 27, most_tiles: Some(9), pinpoints };
        let table = include_str!("../../../tests/fixtures/anyres_tokens.csv");
        let rows: Vec<Vec<usize>> =
            table.lines().skip(1).map(|line| line.split(',').map(|n| n.parse().unwrap()).collect()).collect();
        assert!(rows.len() > 200);
        for row in rows {
            let size = (row[0], row[1]);
            assert_eq!(onevision.tokens(onevision.grid(size), size).len(), row[2], "{size:?}");
        }
    }

    #[test]
    fn whole_parts_are_those_of_the_exact_quotient() {
        assert_eq!(whole_parts(135, 5.0 / 3.0), 80);
        assert_eq!(whole_parts(135, 1.5), 90);
        for count in 1..400 {
            for ratio in [1.1000000001, 1.2, 4.0 / 3.0, 1.5, 5.0 / 3.0, 2.0, 7.0 / 3.0] {
                let found = whole_parts(count, ratio) as f64;
                // The product of two floats of this size is off by far less than this.
                assert!(found * ratio <= count as f64 + 1e-9 && (found + 1.0) * ratio > count as f64 - 1e-9);
            }
        }
    }

    #[test]
    fn a_reduction_weighs_neighbours_to_one_and_keeps_the_middle() {
        for (from, to) in [(10, 5), (13, 7), (9, 1), (5, 4)] {
            let taps = taps(from, to);
            assert!(taps.iter().all(|(a, b, w)| *a <= *b && *b < from && (0.0..=1.0).contains(w)));
            let mean: f32 = taps.iter().map(|(a, _, w)| *a as f32 + w).sum::<f32>() / to as f32;
            assert!((mean - (from - 1) as f32 / 2.0).abs() < 1e-4, "{from} {to} {mean}");
        }
    }
}
