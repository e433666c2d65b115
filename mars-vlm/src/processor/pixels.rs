//! Images as a model takes them: tiles of normalised values, and what stands at each image token.
//!
//! A tile is what the vision encoder takes as one input: a square part of a resized image, or, for encoders of images
//! of any size, a single patch.

/// Rows and columns of tiles.
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
    /// Tiles of [`Pixels::values`] that it takes.
    pub tiles: usize,
    /// Rows of features that these become; the same number for each tile, or one for the same number of tiles.
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
    /// Weights are in 0 to 1 and sum to 1: a bilinear reduction.
    Blend([(u32, f32); 4]),
}

/// One image, from its tiles to its tokens.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ImageLayout {
    /// Tiles and features.
    pub shape: ImageShape,
    /// One entry for each image token, in order.
    /// A family without newlines and blends has `features` of them.
    pub tokens: Vec<Feature>,
}

impl ImageLayout {
    /// An image whose tokens are its features in order.
    pub fn plain(shape: ImageShape) -> Self {
        Self { shape, tokens: (0..shape.features as u32).map(Feature::Row).collect() }
    }
}

/// BLAKE3 of the [`Pixels`] of a sample.
pub type Digest = [u8; 32];

/// The images of a sample, one after another.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Pixels {
    /// Normalised values, row-major `[tiles, tile_shape...]`.
    pub values: Vec<f32>,
    /// Shape of a tile: `[3, side, side]` for square parts of an image (side in pixels), `[values]` for patches.
    pub tile_shape: Vec<usize>,
    /// The images, in order.
    pub images: Vec<ImageLayout>,
}

impl Pixels {
    /// Number of tiles.
    pub fn len(&self) -> usize {
        self.images.iter().map(|image| image.shape.tiles).sum()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.images.is_empty()
    }

    /// `[tiles, tile_shape...]`.
    pub fn shape(&self) -> Vec<usize> {
        std::iter::once(self.len()).chain(self.tile_shape.iter().copied()).collect()
    }

    /// Of all that a vision encoder sees: values and the shapes of tiles and images.
    pub fn digest(&self) -> Digest {
        let mut hasher = blake3::Hasher::new();
        hasher.update(bytemuck::cast_slice(&self.values));
        hasher.update(format!("{:?}", self.tile_shape).as_bytes());
        for image in &self.images {
            hasher.update(format!("{:?}", image.shape).as_bytes());
        }
        hasher.finalize().into()
    }

    /// Number of image tokens.
    pub fn tokens(&self) -> usize {
        self.images.iter().map(|image| image.tokens.len()).sum()
    }
}
