//! The learnt positions of patches: a square table, stretched to the grid of each image.

use crate::model::core::indices::indices;
use crate::model::qwen2_vl::positions::PatchPositions;
use burn::tensor::{Device, Tensor, TensorData};

/// The position of each patch, `[K * P, width]`, bilinear between four rows of `table` `[rows, width]`, of which `side^2`
/// are a square.
///
/// The corners of an image are those of the square: patch i of n along a side is at `i (side - 1) / (n - 1)`, the only one
/// at 0. `fast_pos_embed_interpolate` of the reference.
pub(super) fn interpolated(
    table: Tensor<2>,
    side: usize,
    positions: &PatchPositions,
    device: &Device,
) -> Tensor<2> {
    let corners = corners(side, positions);
    let patches = corners.len();
    let each = |j: usize| corners.iter().map(move |four| four[j]);
    let (rows, weights): (Vec<i32>, Vec<f32>) = (0..4).flat_map(each).unzip();
    let weights: Tensor<2> = Tensor::from_data(TensorData::new(weights, [4 * patches, 1]), device);
    let summands = table.select(0, indices(rows, device)) * weights;
    let width = summands.dims()[1];
    summands.reshape([4, patches, width]).sum_dim(0).squeeze_dim(0)
}

/// Rows and weights of the four positions around each patch.
fn corners(side: usize, positions: &PatchPositions) -> Vec<[(i32, f32); 4]> {
    let mut corners = Vec::with_capacity(positions.cells.len());
    // The rows of an image follow each other.
    for image in &positions.images {
        let cells = image.iter().map(|row| positions.cells[*row]);
        let most = cells.clone().fold((0, 0), |most, cell| (most.0.max(cell.0), most.1.max(cell.1)));
        corners.extend(cells.map(|(row, col)| {
            let ([above, below], down) = between(row, most.0, side);
            let ([left, right], across) = between(col, most.1, side);
            let at = |row: usize, col: usize| (row * side + col) as i32;
            [
                (at(above, left), ((1.0 - down) * (1.0 - across)) as f32),
                (at(above, right), ((1.0 - down) * across) as f32),
                (at(below, left), (down * (1.0 - across)) as f32),
                (at(below, right), (down * across) as f32),
            ]
        }));
    }
    corners
}

/// The two of `side` places around place `i` of 0 to `last`, and how far it is from the first to the second.
fn between(i: u32, last: u32, side: usize) -> ([usize; 2], f64) {
    let place = f64::from(i) * (side - 1) as f64 / f64::from(last.max(1));
    let before = (place.floor() as usize).min(side - 1);
    ([before, (before + 1).min(side - 1)], place - before as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processor::{Grid, ImageShape};

    #[test]
    fn the_corners_of_an_image_are_those_of_the_table_and_weights_sum_to_one() {
        let shape = |rows, cols| {
            let grid = Grid { rows, cols };
            ImageShape { grid, tiles: rows * cols, features: rows * cols / 4 }
        };
        for side in [1, 2, 5, 48] {
            let positions = PatchPositions::new(&[vec![shape(6, 4), shape(2, 8)]], 44, 2, None);
            let corners = corners(side, &positions);
            assert_eq!(corners.len(), 44);
            let place = |corner: usize| {
                let heaviest = corners[corner].iter().max_by(|a, b| a.1.total_cmp(&b.1));
                heaviest.map(|(row, _)| *row as usize)
            };
            for four in &corners {
                assert!((four.iter().map(|(_, weight)| weight).sum::<f32>() - 1.0).abs() < 1e-6);
                assert!(four.iter().all(|(row, _)| (0..(side * side) as i32).contains(row)));
            }
            // First and last patch of the first image, of the second, and of one token of padding.
            for (first, last) in [(0, 23), (24, 39), (40, 43)] {
                assert_eq!((place(first), place(last)), (Some(0), Some(side * side - 1)), "{side}");
            }
        }
    }
}
