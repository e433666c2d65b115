//! PNG.

use super::{decode::Stored, orientation, rgb, xmp};
use flate2::bufread::ZlibDecoder;
use image::metadata::Orientation;
use png::{BitDepth, ColorType, DecodeOptions, Decoder, Limits, Transformations};
use std::{
    borrow::Cow,
    io::{Cursor, ErrorKind, Read},
};

/// Most bytes that the decoder keeps beside the image.
const KEPT: usize = 64 << 20;
/// Most bytes that a text is unpacked to: 1 MiB, as in Pillow.
const MOST_TEXT: usize = 1 << 20;
/// Most texts of a keyword that are tried until one can be read.
const MOST_TRIED: usize = 64;
/// Kinds of texts: as they are, packed, and either with the name of a language.
const TEXTS: [&[u8; 4]; 3] = [b"tEXt", b"zTXt", b"iTXt"];
/// Length of what a file begins with.
const SIGNATURE: usize = 8;

/// Size, depth and orientation. Texts and colour profiles, which a few bytes may unpack to gigabytes, are not read, but
/// for EXIF data and XMP.
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

/// Kinds and data of the chunks whose data are there, up to the end of the image.
fn chunks(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let mut rest = bytes.get(SIGNATURE..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (&[a, b, c, d, kind @ ..], body) = rest.split_first_chunk::<8>()?;
        let data = body.get(..u32::from_be_bytes([a, b, c, d]) as usize)?;
        rest = if &kind == b"IEND" { &[] } else { body.get(data.len() + 4..).unwrap_or_default() };
        Some((kind, data))
    })
}

/// The chunks up to the second frame of an animation: Pillow reads none of that.
fn first_frame(bytes: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    let (mut others, mut begun) = (0i64, false);
    chunks(bytes).take_while(move |(kind, data)| {
        match (kind, data.first_chunk::<4>()) {
            (b"IDAT", _) => begun = true,
            (b"fcTL", _) if begun => return others <= 0,
            // The image is a frame itself.
            (b"fcTL", _) => others -= 1,
            (b"acTL", Some(count)) if !begun => others += i64::from(u32::from_be_bytes(*count)),
            _ => {}
        }
        true
    })
}

/// The orientation in EXIF data, in a chunk of their own or else in a text, or in XMP; wherever these stand.
fn turned(bytes: &[u8]) -> Orientation {
    let exif = match first_frame(bytes).filter(|(kind, _)| kind == b"eXIf").last() {
        Some((_, exif)) => Some(Cow::Borrowed(exif)),
        None => text(bytes, b"Raw profile type exif", &TEXTS).and_then(|text| profile(&text)).map(Cow::Owned),
    };
    let value = exif.and_then(|exif| orientation::in_exif(&exif));
    orientation::of(value.or_else(|| xmp::orientation(&xmp_text(bytes)?)))
}

/// The data of a profile that is written as text: three lines, then hexadecimal digits.
fn profile(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.splitn(4, |byte| *byte == b'\n').nth(3)?;
    let digits = digits.iter().filter(|byte| !byte.is_ascii_whitespace());
    let digits: Option<Vec<u32>> = digits.map(|byte| char::from(*byte).to_digit(16)).collect();
    digits?.chunks(2).map(|pair| Some((pair[0] << 4 | pair.get(1)?) as u8)).collect()
}

/// The XMP. Where it is empty Pillow asks for the last text of the kind that it belongs in.
fn xmp_text(bytes: &[u8]) -> Option<Cow<'_, [u8]>> {
    let last = |kinds: &[&[u8; 4]]| text(bytes, b"XML:com.adobe.xmp", kinds);
    last(&TEXTS).filter(|text| !text.is_empty()).or_else(|| last(&[b"iTXt"]))
}

/// The text of a keyword: of several the last that can be read.
fn text<'a>(bytes: &'a [u8], keyword: &[u8], kinds: &[&[u8; 4]]) -> Option<Cow<'a, [u8]>> {
    let texts = first_frame(bytes).filter(|(kind, _)| kinds.contains(&kind));
    let texts = texts.filter_map(|(kind, data)| Some((kind, data.strip_prefix(keyword)?)));
    let texts: Vec<_> = texts.collect();
    texts.into_iter().rev().take(MOST_TRIED).find_map(|(kind, rest)| match (&kind, rest) {
        (b"tEXt" | b"zTXt", []) | (b"zTXt", [0]) => Some(Cow::default()),
        (b"tEXt", [0, text @ ..]) => Some(Cow::Borrowed(text)),
        // Of data that cannot be unpacked Pillow makes an empty text.
        (b"zTXt", [0, 0, packed @ ..]) => Some(unpacked(packed).unwrap_or_default()),
        (b"iTXt", [0, packed, method, rest @ ..]) => {
            // After the names of the language and of the keyword in it.
            let text = rest.splitn(3, |byte| *byte == 0).nth(2)?;
            match (*packed, *method) {
                (0, _) => Some(Cow::Borrowed(text)),
                (_, 0) => unpacked(text),
                _ => None,
            }
        }
        _ => None,
    })
}

/// At most [`MOST_TEXT`] bytes; of data that are cut off what is there.
fn unpacked(packed: &[u8]) -> Option<Cow<'_, [u8]>> {
    let mut text = Vec::new();
    match ZlibDecoder::new(packed).take(MOST_TEXT as u64 + 1).read_to_end(&mut text) {
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => None,
        _ => (text.len() <= MOST_TEXT).then_some(Cow::Owned(text)),
    }
}
