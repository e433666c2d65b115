//! From encoded bytes to an upright RGB image.

use super::{kind::kind, limits, orientation, rgb::RgbImage};
use image::metadata::Orientation;

/// What the header of an image says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// Upright width and height in pixels.
    pub(crate) size: (usize, usize),
    /// Whether it is grayscale of 16 bits.
    pub(crate) deep_grey: bool,
    /// Length of the encoded image, bytes.
    pub(crate) bytes: usize,
}

/// An image as it lies in its file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    /// Width in pixels.
    pub(super) width: usize,
    /// Height in pixels.
    pub(super) height: usize,
    /// How it is turned to be upright.
    pub(super) orientation: Orientation,
    /// Whether it is grayscale of 16 bits.
    pub(super) deep_grey: bool,
}

impl Stored {
    /// An image of 8 bits that is upright.
    pub(super) fn upright(width: impl TryInto<usize>, height: impl TryInto<usize>) -> Self {
        let side = |side: Option<usize>| side.unwrap_or(usize::MAX);
        let (width, height) = (side(width.try_into().ok()), side(height.try_into().ok()));
        Self { width, height, orientation: Orientation::NoTransforms, deep_grey: false }
    }

    /// Number of pixels.
    pub(super) fn pixels(&self) -> usize {
        self.width.saturating_mul(self.height)
    }
}

/// Reads the header only; the error is the decoder's reason.
///
/// # Errors
/// A few words, also for more pixels than are decoded.
pub(crate) fn header(bytes: &[u8]) -> Result<Header, String> {
    let stored = (kind(bytes)?.header)(bytes)?;
    limits::check(stored.width, stored.height)?;
    let (width, height) = (stored.width, stored.height);
    let size = if orientation::swaps_sides(stored.orientation) { (height, width) } else { (width, height) };
    Ok(Header { size, deep_grey: stored.deep_grey, bytes: bytes.len() })
}

/// Decodes to RGB; the error is the decoder's reason.
///
/// # Errors
/// A few words, also for an image that was cut off.
pub(crate) fn decode(bytes: &[u8]) -> Result<RgbImage, String> {
    let kind = kind(bytes)?;
    let stored = (kind.header)(bytes)?;
    limits::check(stored.width, stored.height)?;
    let pixels = (kind.pixels)(bytes, &stored)?;
    orientation::upright(&stored, pixels).ok_or_else(|| {
        format!("the header says {} x {} pixels, which it does not hold", stored.width, stored.height)
    })
}
