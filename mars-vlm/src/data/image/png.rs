//! PNG.

use super::{decode::Stored, orientation, rgb, xmp};
use flate2::bufread::ZlibDecoder;
use image::metadata::Orientation;
use png::{BitDepth, ColorType, DecodeOptions, Decoder, Limits, Transformations};
use std::{
    borrow::Cow,
    io::{Cursor, Read},
};

/// Most bytes that the decoder keeps beside the image.
const KEPT: usize = 64 << 20;
/// Length of what a file begins with.
const SIGNATURE: usize = 8;

/// Size, depth and orientation. Texts and colour profiles, which a few bytes may unpack to gigabytes, are not read, but
/// for XMP.
pub(super) fn header(bytes: &[u8]) -> Result<Stored, String> {
    let mut decoder = decoder(bytes);
    let info = decoder.read_header_info().map_err(|e| e.to_string())?;
    let deep_grey = (info.color_type, info.bit_depth) == (ColorType::Grayscale, BitDepth::Sixteen);
    Ok(Stored { orientation: turned(bytes), deep_grey, ..Stored::upright(info.width, info.height) })
}

/// Grey of 16 bits is clipped at 255, as Pillow does; other values of 16 bits keep their high byte.
pub(super) fn pixels(bytes: &[u8], stored: &Stored) -> Result<Vec<u8>, String> {
    let mut decoder = decoder(bytes);
    let strip = if stored.deep_grey {
        Transformations::EXPAND
    } else {
        Transformations::EXPAND | Transformations::STRIP_16
    };
    decoder.set_transformations(strip);
    let mut reader = decoder.read_info().map_err(|e| e.to_string())?;
    let size = reader.output_buffer_size().ok_or("it is too large")?;
    let mut values = vec![0; size];
    let frame = reader.next_frame(&mut values).map_err(|e| e.to_string())?;
    let samples = frame.color_type.samples();
    Ok(match (frame.bit_depth, samples) {
        (BitDepth::Eight, 3) => values,
        (BitDepth::Eight, 4) => rgb::without_fourth(values),
        (BitDepth::Eight, n) => values.chunks_exact(n).flat_map(|p| [p[0]; 3]).collect(),
        (_, n) => {
            let clipped = |p: &[u8]| if p[0] == 0 { p[1] } else { 255 };
            values.chunks_exact(2 * n).flat_map(|p| [clipped(p); 3]).collect()
        }
    })
}

fn decoder(bytes: &[u8]) -> Decoder<Cursor<Cow<'_, [u8]>>> {
    let mut options = DecodeOptions::default();
    options.set_ignore_text_chunk(true);
    options.set_ignore_iccp_chunk(true);
    let bytes = completed(bytes);
    // The sum of the last chunk may be what is missing.
    options.set_ignore_checksums(matches!(bytes, Cow::Owned(_)));
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), options);
    decoder.set_limits(Limits { bytes: KEPT });
    decoder
}

/// A file with its end: Pillow does not miss the last chunk, nor the checksum of the one before it.
fn completed(bytes: &[u8]) -> Cow<'_, [u8]> {
    let mut end = bytes.len().min(SIGNATURE);
    for (kind, data) in chunks(bytes) {
        if &kind == b"IEND" {
            return Cow::Borrowed(bytes);
        }
        end += 8 + data.len() + 4;
    }
    let whole = bytes.get(..end.min(bytes.len())).unwrap_or(bytes);
    let mut whole = whole.to_vec();
    whole.resize(end, 0);
    whole.extend_from_slice(b"\0\0\0\0IEND\xae\x42\x60\x82");
    Cow::Owned(whole)
}

/// Kinds and data of the chunks whose data are there.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = bytes.get(SIGNATURE..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (&[a, b, c, d, kind @ ..], body) = rest.split_first_chunk::<8>()?;
        let data = body.get(..u32::from_be_bytes([a, b, c, d]) as usize)?;
        rest = body.get(data.len() + 4..).unwrap_or_default();
        Some((kind, data))
    })
}

/// The orientation in the chunk of EXIF data, wherever it stands, or in XMP.
fn turned(bytes: &[u8]) -> Orientation {
    let exif = chunks(bytes).find(|(kind, _)| kind == b"eXIf");
    let turned = exif.and_then(|(_, exif)| orientation::in_exif(exif));
    orientation::of(turned.or_else(|| xmp::orientation(&xmp_text(bytes)?)))
}

/// The XMP, a text of that keyword: of several the last. One that unpacks to more than [`xmp::MOST`] bytes is not read.
fn xmp_text(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    let texts = chunks(bytes).filter(|(kind, _)| [b"iTXt", b"tEXt", b"zTXt"].contains(&kind));
    let texts = texts.filter_map(|(kind, data)| Some((kind, data.strip_prefix(b"XML:com.adobe.xmp\0")?)));
    match texts.last()? {
        (kind, text) if &kind == b"tEXt" => Some(Cow::Borrowed(text)),
        (kind, [0, packed @ ..]) if &kind == b"zTXt" => unpacked(packed),
        (kind, [packed, method, rest @ ..]) if &kind == b"iTXt" => {
            // After the names of the language and of the keyword in it.
            let text = rest.splitn(3, |byte| *byte == 0).nth(2)?;
            match (*packed, *method) {
                (0, _) => Some(Cow::Borrowed(text)),
                (_, 0) => unpacked(text),
                _ => None,
            }
        }
        _ => None,
    }
}

fn unpacked(packed: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut text = Vec::new();
    ZlibDecoder::new(packed).take(xmp::MOST as u64 + 1).read_to_end(&mut text).ok()?;
    (text.len() <= xmp::MOST).then_some(Cow::Owned(text))
}
