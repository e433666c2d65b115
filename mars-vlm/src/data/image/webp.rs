//! WebP: of an animation the first frame.

use super::{decode::Stored, orientation, rgb, xmp};
use image_webp::WebPDecoder;
use std::io::Cursor;

/// Most bytes that the decoder keeps beside the image.
const KEPT: usize = 64 << 20;
/// Flags of the extended header, without which chunks of EXIF data and XMP do not count.
const HAS_EXIF: u8 = 8;
const HAS_XMP: u8 = 4;

/// Whether it is a RIFF file of a picture.
pub(super) fn begins(bytes: &[u8]) -> bool {
    bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP")
}

/// Size and orientation.
pub(super) fn header(bytes: &[u8]) -> Result<Stored, String> {
    let mut decoder = decoder(bytes)?;
    let (width, height) = decoder.dimensions();
    let has = |flag| bytes.get(20).is_some_and(|flags| flags & flag != 0);
    let exif = has(HAS_EXIF).then(|| decoder.exif_metadata().ok().flatten()).flatten();
    let value = exif.and_then(|exif| orientation::in_exif(&exif));
    let value = value.or_else(|| {
        let xmp = has(HAS_XMP).then(|| decoder.xmp_metadata().ok().flatten()).flatten();
        xmp::orientation(&xmp?)
    });
    Ok(Stored { orientation: orientation::of(value), ..Stored::upright(width, height) })
}

/// Alpha is dropped.
pub(super) fn pixels(bytes: &[u8], _: &Stored) -> Result<Vec<u8>, String> {
    let mut decoder = decoder(bytes)?;
    let size = decoder.output_buffer_size().ok_or("it is too large")?;
    let mut values = vec![0; size];
    decoder.read_image(&mut values).map_err(|e| e.to_string())?;
    Ok(if decoder.has_alpha() { rgb::without_fourth(values) } else { values })
}

fn decoder(bytes: &[u8]) -> Result<WebPDecoder<Cursor<&[u8]>>, String> {
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|e| e.to_string())?;
    decoder.set_memory_limit(KEPT);
    Ok(decoder)
}
