//! Run lengths of 8 and of 4 bits.

/// The `count` indices of all pixels, row by row as stored; `offset` is where `data` begins in the file, for what stands
/// between words of 16 bits.
///
/// # Errors
/// A few words if there are fewer.
pub(super) fn indices(
    data: &[u8],
    offset: usize,
    width: usize,
    count: usize,
    half: bool,
) -> Result<Vec<u8>, String> {
    // A pair of bytes stands for at most 255 pixels, or skips 255 rows.
    let mut pixels = Vec::with_capacity(count);
    let (mut at, mut x) = (0, 0);
    while pixels.len() < count {
        let Some(&[number, value]) = data.get(at..at + 2) else { break };
        at += 2;
        match (number, value) {
            (0, 0) => {
                let rest = (width - pixels.len() % width) % width;
                pixels.resize(pixels.len() + rest, 0);
                x = 0;
            }
            (0, 1) => break,
            (0, 2) => {
                let Some(&[right, up]) = data.get(at..at + 2) else { break };
                at += 2;
                let skipped = usize::from(right) + usize::from(up) * width;
                pixels.resize((pixels.len() + skipped).min(count), 0);
                x = pixels.len() % width;
            }
            (0, number) => {
                let wanted = usize::from(number).min(count - pixels.len());
                let length = if half { wanted.div_ceil(2) } else { wanted };
                let Some(part) = data.get(at..at + length) else { break };
                if half {
                    pixels.extend(part.iter().flat_map(|b| [b >> 4, b & 15]).take(wanted));
                } else {
                    pixels.extend_from_slice(part);
                }
                x += usize::from(number);
                at += length;
                at += (offset + at) % 2;
            }
            (number, value) => {
                let number = usize::from(number).min(width.saturating_sub(x));
                let pair = if half { [value >> 4, value & 15] } else { [value; 2] };
                pixels.extend(pair.iter().cycle().take(number));
                x += number;
            }
        }
    }
    pixels.truncate(count);
    if pixels.len() == count { Ok(pixels) } else { Err(super::CUT.into()) }
}
