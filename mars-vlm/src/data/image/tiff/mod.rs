//! TIFF: the first image of a file, in the layouts that Pillow reads as whole numbers of 1 to 16 bits.

mod colours;
mod samples;
mod source;
mod tags;

use super::decode::Stored;
use samples::Samples;
use source::{Raw, decoder};
use tags::Tags;
use tiff::decoder::DecodingResult;

/// Whether it has the header of a TIFF file, small or big.
pub(super) fn begins(bytes: &[u8]) -> bool {
    [b"II\x2a\0", b"MM\0\x2a", b"II\x2b\0", b"MM\0\x2b"].iter().any(|head| bytes.starts_with(*head))
}

/// Size, depth and orientation of the first image.
pub(super) fn header(bytes: &[u8]) -> Result<Stored, String> {
    let raw = Raw::find(bytes)?;
    let mut decoder = decoder(bytes, &raw)?;
    let (width, height) = decoder.dimensions().map_err(|e| e.to_string())?;
    let tags = Tags::read(&mut decoder, &raw)?;
    Ok(Stored {
        orientation: tags.orientation,
        deep_grey: tags.deep_grey(),
        ..Stored::upright(width, height)
    })
}

/// Samples as they are in the file, then their colours.
pub(super) fn pixels(bytes: &[u8], stored: &Stored) -> Result<Vec<u8>, String> {
    let raw = Raw::find(bytes)?;
    let mut decoder = decoder(bytes, &raw)?;
    let tags = Tags::read(&mut decoder, &raw)?;
    let mut values = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut values).map_err(|e| e.to_string())?;
    let samples = match values {
        DecodingResult::U8(values) if tags.bits < 8 => Samples::unpacked(&values, tags.bits, stored.width),
        DecodingResult::U8(values) => Samples::Bytes(values),
        DecodingResult::U16(values) => Samples::Words(values),
        _ => return Err("its values are no whole numbers of 1 to 16 bits".into()),
    };
    if samples.len() != stored.pixels().saturating_mul(tags.samples) {
        return Err("it holds another number of values than its size says".into());
    }
    colours::rgb(&tags, &samples, layout.planes > 1)
}
