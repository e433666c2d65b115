//! BMP of Windows and OS/2: palettes, 16, 24 and 32 bits, and run lengths, as Pillow reads them.

mod head;
mod runs;

use super::decode::Stored;
use head::{Coding, Head};

const CUT: &str = "the file is cut off: it ends before the last row of pixels";

/// The size.
pub(super) fn header(bytes: &[u8]) -> Result<Stored, String> {
    let head = Head::read(bytes)?;
    Ok(Stored::upright(head.width, head.height))
}

/// Alpha is dropped; steps of 5 and 6 bits are `value * 255 / most`, cut off.
pub(super) fn pixels(bytes: &[u8], stored: &Stored) -> Result<Vec<u8>, String> {
    let head = Head::read(bytes)?;
    let data = bytes.get(head.data..).ok_or(CUT)?;
    let (width, bits) = (head.width, usize::from(head.bits));
    let unpacked;
    let (stride, rows) = match head.coding {
        Coding::Runs { half } => {
            unpacked = runs::indices(data, head.data, width, stored.pixels(), half)?;
            (width, unpacked.as_slice())
        }
        _ => (((width * bits + 31) >> 3) & !3, data),
    };
    let length = match head.coding {
        Coding::Runs { .. } => width,
        _ => (width * bits).div_ceil(8),
    };
    let mut pixels = Vec::with_capacity(stored.pixels() * 3);
    for y in 0..head.height {
        let y = if head.top_down { y } else { head.height - 1 - y };
        let row = rows.get(y * stride..y * stride + length).ok_or(CUT)?;
        pixels.extend((0..width).flat_map(|x| head.colour(row, x)));
    }
    Ok(pixels)
}
