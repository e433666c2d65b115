//! JPEG, decoded by libjpeg-turbo's code (in mozjpeg): the same chroma upsampling and inverse DCT as Pillow's.

mod segments;
mod source;

use super::{decode::Stored, inks, orientation, xmp};
use mozjpeg::{ColorSpace, Decompress};
use source::Source;
use std::{
    any::Any,
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// Most bytes that decoding takes: 1 GiB.
const MOST_BYTES: u64 = 1 << 30;
/// Most visits of a block of 8 x 8 values by all scans.
const MOST_VISITS: u64 = 1 << 30;

/// Size and orientation, from the segments before the first scan; what could not be decoded in bounded memory and time
/// is refused.
pub(super) fn header(bytes: &[u8]) -> Result<Stored, String> {
    let ended = Cell::new(false);
    let read = guarded(|| {
        let jpeg = open(bytes, &ended)?;
        let blocks =
            |part: &mozjpeg::CompInfo| u64::from(part.width_in_blocks) * u64::from(part.height_in_blocks);
        let blocks: u64 = jpeg.components().iter().map(blocks).sum();
        let (width, height) = jpeg.size();
        // Each block takes at least a bit.
        if blocks / 8 > bytes.len() as u64 {
            let size = bytes.len();
            return Err(format!("{width} x {height} pixels do not fit into its {size} bytes: it is cut off"));
        }
        // All scans of a progressive image meet in memory, two bytes a value; the others pass by.
        let coefficients = if segments::is_progressive(bytes) { blocks * 128 } else { 0 };
        let colours = if jpeg.components().len() > 3 { 4 + 3 } else { 3 };
        let needed = coefficients + width as u64 * height as u64 * colours;
        if needed > MOST_BYTES {
            return Err(format!(
                "{width} x {height} pixels take {needed} bytes to decode, more than {MOST_BYTES}: scale it down"
            ));
        }
        let scans = segments::scans(bytes);
        if scans.saturating_mul(blocks) > MOST_VISITS {
            return Err(format!("{scans} scans of {width} x {height} pixels: save it again"));
        }
        Ok((width, height))
    });
    let cut = |why| if ended.get() { format!("the file is cut off: {why}") } else { why };
    let (width, height) = read.map_err(cut)?;
    let value = segments::exif(bytes).and_then(orientation::in_exif);
    let value = value.or_else(|| xmp::orientation(segments::xmp(bytes)?));
    Ok(Stored { orientation: orientation::of(value), ..Stored::upright(width, height) })
}

/// Decodes as Pillow does: a file is cut off if the decoder wants more bytes before it has all rows; colours of four
/// components are inverted CMYK, as Adobe writes them.
pub(super) fn pixels(bytes: &[u8], _: &Stored) -> Result<Vec<u8>, String> {
    let ended = Cell::new(false);
    guarded(|| {
        let jpeg = open(bytes, &ended)?;
        let inks = match jpeg.color_space() {
            ColorSpace::JCS_GRAYSCALE | ColorSpace::JCS_RGB | ColorSpace::JCS_YCbCr => false,
            ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK => true,
            _ => return Err(format!("{} components of unknown colours", jpeg.components().len())),
        };
        let space = if inks { ColorSpace::JCS_CMYK } else { ColorSpace::JCS_RGB };
        let mut rows = jpeg.to_colorspace(space).map_err(|e| e.to_string())?;
        let values: Vec<u8> = rows.read_scanlines().map_err(|e| e.to_string())?;
        if ended.get() {
            return Err("the file is cut off: it ends before the last row of pixels".into());
        }
        Ok(if inks { inks::rgb_of_inverted(&values) } else { values })
    })
}

fn open<'a>(bytes: &'a [u8], ended: &'a Cell<bool>) -> Result<Decompress<Source<'a>>, String> {
    Decompress::new_reader(Source::new(bytes, ended)).map_err(|e| e.to_string())
}

/// Calls the C library, whose errors arrive as unwinding without a message on the way.
fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|payload| Err(reason(&*payload)))
}

fn reason(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map_or("the decoder gave up", String::as_str);
    text.trim_start_matches("libjpeg fatal error: ").to_string()
}
