//! Images as the vision encoder takes them: square tiles of normalised values.

/// How an image is cut into tiles; 0 x 0 means that it stays whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grid {
    /// Rows of tiles.
    pub rows: usize,
    /// Columns of tiles.
    pub cols: usize,
}

impl Grid {
    /// Number of tiles: the parts, and the whole image as one more.
    pub fn tiles(self) -> usize {
        self.rows * self.cols + 1
    }
}

/// The tiles of zero or more images, one after another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tiles {
    /// Normalised values, row-major `[tiles, 3, side, side]`.
    pub values: Vec<f32>,
    /// The grid of each image; its tiles stand row by row, the whole image last.
    pub grids: Vec<Grid>,
    /// Side of a tile in pixels.
    pub side: usize,
}

impl Tiles {
    /// Number of tiles.
    pub fn len(&self) -> usize {
        self.grids.iter().map(|grid| grid.tiles()).sum()
    }

    /// Whether there is no tile.
    pub fn is_empty(&self) -> bool {
        self.grids.is_empty()
    }

    /// `[tiles, 3, side, side]`.
    pub fn shape(&self) -> [usize; 4] {
        [self.len(), 3, self.side, self.side]
    }
}
