//! What the first directory of a TIFF file says about its samples.

use super::source::{Overlaid, Raw};
use crate::data::image::{orientation, xmp};
use image::metadata::Orientation;
use tiff::{decoder::Decoder, tags::Tag};

/// More samples for a pixel are not read.
const MOST_SAMPLES: usize = 6;
const XMP: Tag = Tag::Unknown(700);

/// What samples mean (`PhotometricInterpretation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    WhiteIsZero,
    BlackIsZero,
    Rgb,
    Palette,
    Inks,
}

/// The layout of a pixel.
pub(super) struct Tags {
    pub(super) meaning: Meaning,
    /// Bits of a sample: 1, 2, 4, 8 or 16.
    pub(super) bits: u32,
    /// Samples of a pixel.
    pub(super) samples: usize,
    /// Whether numbers have a sign.
    pub(super) signed: bool,
    /// Whether the fourth of four colour samples is alpha that the others are multiplied with.
    pub(super) premultiplied: bool,
    /// Red, green and blue of each index of a palette.
    pub(super) palette: Vec<[u8; 3]>,
    pub(super) orientation: Orientation,
}

impl Tags {
    /// Reads and checks them.
    ///
    /// # Errors
    /// A few words about a layout that is not read; Pillow does not read most of these either.
    pub(super) fn read(decoder: &mut Decoder<Overlaid<'_>>, raw: &Raw) -> Result<Self, String> {
        let mut number = |tag, usual: u32| -> Result<u32, String> {
            let found = decoder.find_tag_unsigned_vec::<u32>(tag).map_err(|e| e.to_string())?;
            Ok(found.and_then(|all| all.first().copied()).unwrap_or(usual))
        };
        let (bits, samples) = (number(Tag::BitsPerSample, 1)?, number(Tag::SamplesPerPixel, 1)? as usize);
        let (format, order) = (number(Tag::SampleFormat, 1)?, number(Tag::FillOrder, 1)?);
        let (compression, value) = (number(Tag::Compression, 1)?, number(Tag::Orientation, 1)?);
        let mut list = |tag| -> Result<Vec<u16>, String> {
            Ok(decoder.find_tag_unsigned_vec::<u16>(tag).map_err(|e| e.to_string())?.unwrap_or_default())
        };
        let (extra, colours) = (list(Tag::ExtraSamples)?, list(Tag::ColorMap)?);
        if matches!(compression, 6 | 7) {
            return Err("a TIFF with JPEG inside is not read: save it as JPEG or PNG".into());
        }
        let (meaning, own) = match raw.photometric {
            0 => (Meaning::WhiteIsZero, 1),
            1 => (Meaning::BlackIsZero, 1),
            2 => (Meaning::Rgb, 3),
            3 => (Meaning::Palette, 1),
            5 => (Meaning::Inks, 4),
            _ => (Meaning::Rgb, 0),
        };
        let grey = own == 1 && meaning != Meaning::Palette;
        let depth = matches!(bits, 8 | 16) || (samples == 1 && matches!(bits, 1 | 2 | 4));
        let known = own > 0
            && depth
            && (own..=MOST_SAMPLES).contains(&samples)
            && order == 1
            && (format == 1 || (format == 2 && meaning == Meaning::BlackIsZero && samples == 1 && bits >= 8))
            // Inverted grey of 16 bits has no place in Pillow, or is not inverted there.
            && !(meaning == Meaning::WhiteIsZero && bits == 16 && raw.big_endian)
            && !(bits == 16 && (meaning == Meaning::Palette || (grey && samples > 1)))
            && !(meaning == Meaning::Inks && samples > 4 && bits != 8);
        let premultiplied = extra.first() == Some(&1);
        if !known || (premultiplied && (meaning != Meaning::Rgb || bits != 8)) {
            return Err(format!(
                "a TIFF of this layout is not read (PhotometricInterpretation {}, {samples} samples of {bits} bits, \
                 SampleFormat {format}, FillOrder {order}): save it as PNG",
                raw.photometric
            ));
        }
        let palette = if meaning == Meaning::Palette { palette(&colours, bits)? } else { Vec::new() };
        let value = match decoder.image_ifd().directory().contains(Tag::Orientation) {
            true => Some(value),
            false => in_xmp(decoder),
        };
        let orientation = orientation::of(value);
        Ok(Self { meaning, bits, samples, signed: format == 2, premultiplied, palette, orientation })
    }

    /// Whether it is grayscale of 16 bits.
    pub(super) fn deep_grey(&self) -> bool {
        self.bits == 16 && matches!(self.meaning, Meaning::WhiteIsZero | Meaning::BlackIsZero)
    }
}

/// The orientation in the XMP of the first directory, which is no longer than the file.
fn in_xmp(decoder: &mut Decoder<Overlaid<'_>>) -> Option<u32> {
    let length = usize::try_from(decoder.image_ifd().directory().get(XMP)?.count()).ok()?;
    if length > decoder.inner().length() {
        return None;
    }
    let mut text = vec![0; length];
    decoder.image_ifd().find_tag_bytes(XMP, &mut text, 0).ok()??;
    xmp::orientation(&text)
}

/// The colours of a palette: all reds, all greens, all blues, of which the high bytes count.
fn palette(colours: &[u16], bits: u32) -> Result<Vec<[u8; 3]>, String> {
    let count = 1usize << bits;
    if colours.len() != 3 * count {
        return Err(format!("its palette has {} values, expected {}", colours.len(), 3 * count));
    }
    Ok((0..count).map(|k| [0, 1, 2].map(|c| (colours[c * count + k] >> 8) as u8)).collect())
}
