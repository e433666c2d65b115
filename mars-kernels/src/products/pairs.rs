//! Matrices in tiles of pairs of bf16.

use crate::tile::{BLOCK, Line, Rounded, Rounding, STEP, rounded};

/// Lines of a tile, and words of two bf16 in a line.
const TILE: usize = 16;

/// Writes a matrix `[outer, depth]` in blocks of 32 along the first dimension, each in steps of 32 along the depth, each in two tiles.
///
/// `x` holds rows of `depth` values, or with `ACROSS` rows of `outer` values of the transpose, that begin `stride` apart. A line of a
/// tile has one place along the first dimension and 16 pairs along the depth, with `PAIRED` one such pair for 16 places.
pub(super) fn fill<const ACROSS: bool, const PAIRED: bool>(
    x: &[f32],
    stride: usize,
    size: [usize; 2],
    lines: &mut [Line],
) {
    rounded(Fill::<ACROSS, PAIRED> { x, stride, size, lines });
}

struct Fill<'a, const ACROSS: bool, const PAIRED: bool> {
    x: &'a [f32],
    stride: usize,
    size: [usize; 2],
    lines: &'a mut [Line],
}

impl<const ACROSS: bool, const PAIRED: bool> Rounded for Fill<'_, ACROSS, PAIRED> {
    #[inline(always)]
    fn run(self, rounding: impl Rounding) {
        let Self { x, stride, size: [outer, depth], lines } = self;
        let (tiles, _) = lines.as_chunks_mut::<TILE>();
        let of_block = depth.div_ceil(STEP) * (BLOCK / TILE);
        for (index, tile) in tiles.iter_mut().enumerate() {
            let (block, step, half) = (index / of_block, index % of_block / 2, index % 2);
            let from = [block * BLOCK + half * TILE, step * STEP];
            let size = [TILE.min(outer.saturating_sub(from[0])), STEP.min(depth - from[1])];
            match ACROSS {
                true => across(rounding, x, stride, from, size, tile),
                false => along(rounding, x, stride, from, size, tile),
            }
            if ACROSS != PAIRED {
                turn(tile);
            }
        }
    }
}

/// 16 rows of 32 values, each a line.
#[inline(always)]
fn along(
    rounding: impl Rounding,
    x: &[f32],
    stride: usize,
    [row, column]: [usize; 2],
    [rows, columns]: [usize; 2],
    tile: &mut [Line; TILE],
) {
    for (r, line) in tile.iter_mut().enumerate() {
        let values = if r < rows { &x[(row + r) * stride + column..][..columns] } else { &[] };
        rounding.row(&padded(values), line, None);
    }
}

/// 32 rows of 16 values, two in each line, side by side.
#[inline(always)]
fn across(
    rounding: impl Rounding,
    x: &[f32],
    stride: usize,
    [column, row]: [usize; 2],
    [columns, rows]: [usize; 2],
    tile: &mut [Line; TILE],
) {
    let of = |r| if r < rows && columns > 0 { &x[(row + r) * stride + column..][..columns] } else { &[] };
    for (pair, line) in tile.iter_mut().enumerate() {
        rounding.pairs([&padded(of(2 * pair)), &padded(of(2 * pair + 1))], line);
    }
}

#[inline(always)]
fn padded<const N: usize>(values: &[f32]) -> [f32; N] {
    if let Some(values) = values.first_chunk::<N>() {
        return *values;
    }
    let mut some = [0.0; N];
    some[..values.len()].copy_from_slice(values);
    some
}

/// Exchanges lines and pairs.
#[inline(always)]
fn turn(tile: &mut [Line; TILE]) {
    let mut words = [[0u32; TILE]; TILE];
    for (i, line) in tile.iter().enumerate() {
        let (pairs, _) = line.0.as_chunks::<2>();
        for (j, pair) in pairs.iter().enumerate() {
            words[j][i] = u32::from(pair[0]) | u32::from(pair[1]) << 16;
        }
    }
    for (line, words) in tile.iter_mut().zip(&words) {
        let (pairs, _) = line.0.as_chunks_mut::<2>();
        for (pair, word) in pairs.iter_mut().zip(words) {
            *pair = [*word as u16, (*word >> 16) as u16];
        }
    }
}
