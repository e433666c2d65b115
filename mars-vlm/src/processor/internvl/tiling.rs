//! Which grid of tiles an image is stretched to (transformers 4.57.3, `get_optimal_tiled_canvas`).

use super::InternVlImages;
use crate::processor::pixels::Grid;

impl InternVlImages {
    /// Tiles of an image of this width and height in pixels; 0 x 0 where a single tile is enough.
    ///
    /// Of all grids of `least_tiles` to `most_tiles` tiles, the one whose ratio of sides is nearest. Of several as near the
    /// larger is taken while the image has more than half of its pixels, otherwise the smallest.
    pub(super) fn grid(&self, (width, height): (usize, usize)) -> Grid {
        let (ratio, area) = (width as f64 / height as f64, width as f64 * height as f64);
        let tile = self.tile as f64;
        let (mut nearest, mut best) = (f64::INFINITY, Grid { rows: 1, cols: 1 });
        for (cols, rows) in grids(self.least_tiles, self.most_tiles) {
            let gap = (ratio - cols as f64 / rows as f64).abs();
            let fills = area > 0.5 * tile * tile * cols as f64 * rows as f64;
            if gap < nearest || (gap == nearest && fills) {
                (nearest, best) = (gap, Grid { rows, cols });
            }
        }
        if best.cells() > 1 { best } else { Grid::default() }
    }
}

/// Columns and rows of every grid of `least` to `most` tiles, by their number, then by their columns.
fn grids(least: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let divided = |tiles: usize| (1..=tiles).filter(move |cols| tiles.is_multiple_of(*cols));
    (least..=most).flat_map(move |tiles| divided(tiles).map(move |cols| (cols, tiles / cols)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grids_come_by_their_number_of_tiles() {
        let all: Vec<_> = grids(1, 4).collect();
        assert_eq!(all, [(1, 1), (1, 2), (2, 1), (1, 3), (3, 1), (1, 4), (2, 2), (4, 1)]);
        assert_eq!(grids(3, 2).count(), 0);
    }
}
