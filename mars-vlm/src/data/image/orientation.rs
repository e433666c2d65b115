//! Images that lie on their side, by the orientation of their EXIF data.

use super::{decode::Stored, rgb::RgbImage};
use image::{DynamicImage, metadata::Orientation};

/// Whether width and height change places.
pub(super) fn swaps_sides(orientation: Orientation) -> bool {
    matches!(
        orientation,
        Orientation::Rotate90
            | Orientation::Rotate270
            | Orientation::Rotate90FlipH
            | Orientation::Rotate270FlipH
    )
}

/// The orientation in EXIF data, which begin with the header of a TIFF file or with `Exif\0\0`.
pub(super) fn of_exif(exif: &[u8]) -> Orientation {
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    Orientation::from_exif_chunk(exif).unwrap_or(Orientation::NoTransforms)
}

/// The image upright; `None` if there are not as many values as its size says.
pub(super) fn upright(stored: &Stored, pixels: Vec<u8>) -> Option<RgbImage> {
    if stored.orientation == Orientation::NoTransforms {
        return RgbImage::new(stored.width, stored.height, pixels);
    }
    let (width, height) = (u32::try_from(stored.width).ok()?, u32::try_from(stored.height).ok()?);
    let mut picture = DynamicImage::ImageRgb8(image::RgbImage::from_raw(width, height, pixels)?);
    picture.apply_orientation(stored.orientation);
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    RgbImage::new(width, height, picture.into_rgb8().into_raw())
}
