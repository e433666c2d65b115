//! Images as a model takes them: pieces of normalised values, and what stands at each image token.

/// Rows and columns of pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grid {
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
}

impl Grid {
    /// Number of cells.
    pub fn cells(self) -> usize {
        self.rows * self.cols
    }
}

/// What one image costs a vision encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImageShape {
    /// Tiles of a divided image (0 x 0 if it stays whole), or patches of an image of any size.
    pub grid: Grid,
    /// Pieces of [`Pixels::values`] that it takes.
    pub pieces: usize,
    /// Rows of features that these become; the same number for each piece, or one for the same number of pieces.
    pub features: usize,
}

/// What the language model finds at one image token; rows count from the image's first feature.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Feature {
    /// A feature.
    Row(u32),
    /// The learnt embedding that ends a row of a picture.
    Newline,
    /// The weighted sum of four features.
    Blend([(u32, f32); 4]),
}

/// One image, from its pieces to its tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageLayout {
    /// Pieces and features.
    pub shape: ImageShape,
    /// One entry for each image token, in order.
    pub tokens: Vec<Feature>,
}

impl ImageLayout {
    /// An image whose tokens are its features in order.
    pub fn plain(shape: ImageShape) -> Self {
        Self { shape, tokens: (0..shape.features as u32).map(Feature::Row).collect() }
    }
}

/// The images of a sample, one after another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pixels {
    /// Normalised values, row-major `[pieces, piece...]`.
    pub values: Vec<f32>,
    /// Shape of a piece: `[3, side, side]` for tiles, `[values]` for patches.
    pub piece: Vec<usize>,
    /// The images, in order.
    pub images: Vec<ImageLayout>,
}

impl Pixels {
    /// Number of pieces.
    pub fn len(&self) -> usize {
        self.images.iter().map(|image| image.shape.pieces).sum()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// `[pieces, piece...]`.
    pub fn shape(&self) -> Vec<usize> {
        std::iter::once(self.len()).chain(self.piece.iter().copied()).collect()
    }

    /// Number of image tokens.
    pub fn tokens(&self) -> usize {
        self.images.iter().map(|image| image.tokens.len()).sum()
    }
}
