//! Images in memory.

/// An 8-bit RGB image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RgbImage {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

impl RgbImage {
    /// An image from its rows, `[height, width, 3]`.
    ///
    /// Returns `None` if a side is 0 or `pixels` is not `height * width * 3` long.
    pub fn new(width: usize, height: usize, pixels: Vec<u8>) -> Option<Self> {
        (width > 0 && height > 0 && pixels.len() == width * height * 3).then_some(Self {
            width,
            height,
            pixels,
        })
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.height
    }

    /// Rows of RGB values, `[height, width, 3]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }
}

/// The first three of every four values, in place.
pub(super) fn without_fourth(mut values: Vec<u8>) -> Vec<u8> {
    let pixels = values.len() / 4;
    for pixel in 1..pixels {
        values.copy_within(pixel * 4..pixel * 4 + 3, pixel * 3);
    }
    values.truncate(pixels * 3);
    values
}
