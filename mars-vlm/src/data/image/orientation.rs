//! Images that lie on their side, by the orientation of their EXIF data or XMP.

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

/// What an image is turned by that has the orientation `value`; none and values other than 2 to 8 leave it as it is.
pub(super) fn of(value: Option<u32>) -> Orientation {
    let value = value.and_then(|value| u8::try_from(value).ok());
    value.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
}

/// The value of the orientation in EXIF data, which begin with the header of a TIFF file or with `Exif\0\0`. `None` if
/// they have no such tag; 1 if it holds something other than one whole number.
pub(super) fn in_exif(exif: &[u8]) -> Option<u32> {
    const ORIENTATION: u32 = 0x112;
    const SHORT: u32 = 3;
    const LONG: u32 = 4;
    let exif = exif.strip_prefix(b"Exif\0\0").unwrap_or(exif);
    let big_endian = match exif.first_chunk::<4>()? {
        b"II\x2a\0" => false,
        b"MM\0\x2a" => true,
        _ => return None,
    };
    let number = |at: usize, width: usize| -> Option<u32> {
        let part = exif.get(at..at.checked_add(width)?)?;
        let step = |sum: u32, byte: &u8| sum << 8 | u32::from(*byte);
        Some(if big_endian { part.iter().fold(0, step) } else { part.iter().rev().fold(0, step) })
    };
    let directory = number(4, 4)? as usize;
    let mut entries = (0..number(directory, 2)? as usize).map(|k| directory.saturating_add(2 + 12 * k));
    let at = entries.find(|at| number(*at, 2) == Some(ORIENTATION))?;
    Some(match (number(at + 2, 2)?, number(at + 4, 4)?) {
        (SHORT, 1) => number(at + 8, 2)?,
        (LONG, 1) => number(at + 8, 4)?,
        _ => 1,
    })
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

#[cfg(test)]
mod tests {
    use super::in_exif;

    /// EXIF data of one entry.
    fn exif(tag: u16, kind: u16, count: u32, value: [u8; 4]) -> Vec<u8> {
        let head = b"Exif\0\0II\x2a\0\x08\0\0\0\x01\0";
        [head.as_slice(), &tag.to_le_bytes(), &kind.to_le_bytes(), &count.to_le_bytes(), &value, &[0; 4]]
            .concat()
    }

    #[test]
    fn a_tag_that_is_there_is_told_from_none() {
        for (data, found) in [
            (exif(0x112, 3, 1, [6, 0, 0, 0]), Some(6)),
            (exif(0x112, 4, 1, [8, 0, 0, 0]), Some(8)),
            (exif(0x112, 3, 1, [0; 4]), Some(0)),
            (exif(0x112, 3, 2, [6, 0, 6, 0]), Some(1)),
            (exif(0x112, 2, 1, *b"6\0\0\0"), Some(1)),
            (exif(0x110, 3, 1, [6, 0, 0, 0]), None),
        ] {
            assert_eq!(in_exif(&data), found, "{data:x?}");
            assert_eq!(in_exif(&data[6..]), found);
            for cut in (0..data.len()).map(|length| in_exif(&data[..length])) {
                assert!(cut.is_none() || cut == found, "{data:x?}");
            }
        }
        let big = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x05\0\0";
        assert_eq!(in_exif(big), Some(5));
        assert_eq!(in_exif(b"II\x2a\0\xff\xff\xff\xff"), None);
        assert_eq!(in_exif(b"GIF89a"), None);
    }
}
