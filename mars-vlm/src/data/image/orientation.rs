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

/// The value of the orientation in EXIF data, which begin with the header of a TIFF file or before it with `Exif\0\0`,
/// once or twice. `None` if they have no such tag, or one that Pillow skips: of an unknown type, without a value, or
/// with its values outside. 1 if it holds something other than one whole number of at most 32 bits.
pub(super) fn in_exif(exif: &[u8]) -> Option<u32> {
    const NAME: &[u8] = b"Exif\0\0";
    const ORIENTATION: u32 = 0x112;
    let exif = exif.strip_prefix(NAME).unwrap_or(exif);
    let exif = exif.strip_prefix(NAME).unwrap_or(exif);
    // Some writers have the bytes of the mark in the wrong order.
    let big_endian = match exif.first_chunk::<4>()? {
        b"II\x2a\0" | b"II\0\x2a" => false,
        b"MM\0\x2a" | b"MM\x2a\0" => true,
        _ => return None,
    };
    let number = |at: usize, width: usize| -> Option<u32> {
        let part = exif.get(at..at.checked_add(width)?)?;
        let step = |sum: u32, byte: &u8| sum << 8 | u32::from(*byte);
        Some(if big_endian { part.iter().fold(0, step) } else { part.iter().rev().fold(0, step) })
    };
    let directory = number(4, 4)? as usize;
    let mut elsewhere = 0;
    for k in 0..number(directory, 2)? as usize {
        let at = directory + 2 + 12 * k;
        let (tag, kind, count) = (number(at, 2)?, number(at + 2, 2)?, number(at + 4, 4)?);
        let value = number(at + 8, 4)?;
        let width = match kind {
            1 | 2 | 6 | 7 => 1,
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16 => 8,
            _ => continue,
        };
        let size = u64::from(count) * width;
        if size > 4 {
            // Pillow skips what is longer than all data, and stops at what is cut off.
            elsewhere += size;
            if elsewhere > exif.len() as u64 {
                continue;
            }
            let start = value as usize;
            exif.get(start..start.checked_add(size as usize)?)?;
        }
        if tag == ORIENTATION && size > 0 {
            // Bytes, shorts and longs; those with a sign too: below zero they are no orientation.
            return Some(match (kind, count) {
                (6, 1) => number(at + 8, 1)?,
                (3 | 8, 1) => number(at + 8, 2)?,
                (4 | 9 | 13, 1) => value,
                _ => 1,
            });
        }
    }
    None
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

    fn entry(tag: u16, kind: u16, count: u32, value: [u8; 4]) -> Vec<u8> {
        [tag.to_le_bytes().as_slice(), &kind.to_le_bytes(), &count.to_le_bytes(), &value].concat()
    }

    /// EXIF data of one entry.
    fn exif(tag: u16, kind: u16, count: u32, value: [u8; 4]) -> Vec<u8> {
        let head = b"Exif\0\0II\x2a\0\x08\0\0\0\x01\0";
        [head.as_slice(), &entry(tag, kind, count, value), &[0; 4]].concat()
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
            // With a sign.
            (exif(0x112, 6, 1, [7, 0, 0, 0]), Some(7)),
            (exif(0x112, 8, 1, [6, 0, 0, 0]), Some(6)),
            (exif(0x112, 9, 1, [5, 0, 0, 0]), Some(5)),
            (exif(0x112, 8, 1, [0xff; 4]), Some(0xffff)),
            (exif(0x112, 13, 1, [3, 0, 0, 0]), Some(3)),
            // Two numbers elsewhere in the data, then outside; an unknown type; none.
            (exif(0x112, 5, 1, [8, 0, 0, 0]), Some(1)),
            (exif(0x112, 5, 1, [0, 1, 0, 0]), None),
            (exif(0x112, 5, u32::MAX, [8, 0, 0, 0]), None),
            (exif(0x112, 14, 1, [6, 0, 0, 0]), None),
            (exif(0x112, 3, 0, [6, 0, 0, 0]), None),
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

    /// What Pillow 13.0.0 makes of an entry before that of the orientation.
    #[test]
    fn an_entry_that_is_skipped_does_not_hide_the_next() {
        let turned = entry(0x112, 3, 1, [6, 0, 0, 0]);
        for (first, found) in [
            (entry(0x112, 14, 1, [3, 0, 0, 0]), Some(6)),
            (entry(0x112, 3, 0, [3, 0, 0, 0]), Some(6)),
            (entry(0x112, 3, 1, [3, 0, 0, 0]), Some(3)),
            // Longer than all data, and cut off.
            (entry(0x10f, 2, 2000, [0, 1, 0, 0]), Some(6)),
            (entry(0x10f, 2, 20, [0, 1, 0, 0]), None),
        ] {
            let data = [b"II\x2a\0\x08\0\0\0\x02\0".as_slice(), &first, &turned, &[0; 4]].concat();
            assert_eq!(in_exif(&data), found, "{data:x?}");
        }
    }

    #[test]
    fn either_order_of_the_mark_and_a_name_once_or_twice_are_read() {
        for mark in [b"II\x2a\0", b"II\0\x2a", b"MM\0\x2a", b"MM\x2a\0"] {
            let rest: &[u8] = match mark[0] {
                b'I' => b"\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0",
                _ => b"\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0",
            };
            for names in 0..4 {
                let data = [b"Exif\0\0".repeat(names).as_slice(), mark, rest].concat();
                assert_eq!(in_exif(&data), (names < 3).then_some(6), "{data:x?}");
            }
        }
    }
}
