//! Where each patch is in its image, and with which others it attends: whole images, or windows of them.
//!
//! Rows are patches in the processor's order, the patches of one token together, so windows are lists of rows and
//! nothing needs to be permuted. Padding after an adapter's own images counts as images of one token.

use crate::processor::qwen2_vl::token_order;
use crate::processor::{Grid, ImageShape};

/// The rows of all adapters.
#[derive(Clone, Debug, Default)]
pub(in crate::model) struct PatchPositions {
    /// Row and column of each patch in its image, `[K * P]`.
    pub(in crate::model) cells: Vec<(u32, u32)>,
    /// Rows of each image.
    pub(in crate::model) images: Vec<Vec<usize>>,
    /// Rows of each window of each image.
    pub(in crate::model) windows: Vec<Vec<usize>>,
}

impl PatchPositions {
    /// `images[k]` are padded to `rows` rows for each adapter; `window` is the side of a window in tokens.
    pub(in crate::model) fn new(
        images: &[Vec<ImageShape>],
        rows: usize,
        merge: usize,
        window: Option<usize>,
    ) -> Self {
        let mut positions = Self::default();
        for (k, own) in images.iter().enumerate() {
            for image in own {
                positions.add(image.grid, merge, window);
            }
            while positions.cells.len() < (k + 1) * rows {
                positions.add(Grid { rows: merge, cols: merge }, merge, window);
            }
        }
        positions
    }

    fn add(&mut self, grid: Grid, merge: usize, window: Option<usize>) {
        let start = self.cells.len();
        self.cells.extend(token_order(grid, merge).map(|(row, col)| (row as u32, col as u32)));
        self.images.push((start..self.cells.len()).collect());
        let Some(side) = window.map(|tokens| tokens * merge) else { return };
        let across = grid.cols.div_ceil(side);
        let mut windows = vec![Vec::new(); grid.rows.div_ceil(side) * across];
        for (row, (r, c)) in self.cells.iter().enumerate().skip(start) {
            windows[*r as usize / side * across + *c as usize / side].push(row);
        }
        self.windows.extend(windows);
    }
}

/// Pairs of rows that attend to each other within windows of an image.
/// `sum(patches of a window ^ 2)`; windows at the lower and right edge are smaller.
pub(super) fn pairs_in_windows(grid: Grid, side: usize) -> usize {
    let squares = |n: usize| (0..n.div_ceil(side)).map(|w| side.min(n - w * side).pow(2)).sum::<usize>();
    squares(grid.rows) * squares(grid.cols)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_divide_an_image_and_stay_within_it() {
        let shape = |rows, cols| {
            let grid = Grid { rows, cols };
            ImageShape { grid, tiles: rows * cols, features: rows * cols / 4 }
        };
        let images = [vec![shape(6, 4), shape(2, 8)], vec![shape(4, 4)]];
        let positions = PatchPositions::new(&images, 40, 2, Some(2));
        assert_eq!(positions.cells.len(), 80);
        for segments in [&positions.images, &positions.windows] {
            let mut rows: Vec<usize> = segments.iter().flatten().copied().collect();
            rows.sort_unstable();
            assert_eq!(rows, (0..80).collect::<Vec<_>>());
        }
        for window in &positions.windows {
            let cell = |row: &usize| positions.cells[*row];
            assert!(window.iter().all(|row| cell(row).0 / 4 == cell(&window[0]).0 / 4));
            assert!(positions.images.iter().any(|image| window.iter().all(|row| image.contains(row))));
        }
        // 3 images, and 24 rows of padding in units of 4.
        assert_eq!(positions.images.len(), 3 + 6);
        let pairs: usize = positions.windows[..4].iter().map(|window| window.len().pow(2)).sum();
        assert_eq!(
            pairs,
            pairs_in_windows(Grid { rows: 6, cols: 4 }, 4) + pairs_in_windows(Grid { rows: 2, cols: 8 }, 4)
        );
    }
}
