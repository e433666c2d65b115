//! GIF: the first frame, on a canvas as large as it needs.

use super::decode::Stored;
use gif::{ColorOutput, DecodeOptions, Decoder, MemoryLimit};
use std::{
    io::{Chain, Read},
    num::NonZeroU64,
};

/// Most bytes that the decoder keeps beside the image.
const KEPT: NonZeroU64 = NonZeroU64::new(512 << 20).unwrap();

/// The size of the canvas, or what the first frame reaches beyond it.
pub(super) fn header(bytes: &[u8]) -> Result<Stored, String> {
    let mut decoder = decoder(bytes)?;
    let canvas = (usize::from(decoder.width()), usize::from(decoder.height()));
    let frame = decoder.next_frame_info().map_err(|e| e.to_string())?.ok_or("it holds no frame")?;
    let width = canvas.0.max(usize::from(frame.left) + usize::from(frame.width));
    let height = canvas.1.max(usize::from(frame.top) + usize::from(frame.height));
    Ok(Stored::upright(width, height))
}

/// What the frame leaves free has the colour of the transparent index if there is one, otherwise of index 0; pixels of
/// the transparent index have the colour of their place in the palette. Without a palette values are grey.
pub(super) fn pixels(bytes: &[u8], stored: &Stored) -> Result<Vec<u8>, String> {
    let mut decoder = decoder(bytes)?;
    let frame = decoder.next_frame_info().map_err(|e| e.to_string())?.ok_or("it holds no frame")?;
    let (left, top) = (usize::from(frame.left), usize::from(frame.top));
    let (width, free) = (usize::from(frame.width), frame.transparent.unwrap_or(0));
    let mut indices = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut indices).map_err(|e| e.to_string())?;
    let palette = decoder.palette().map_err(|e| e.to_string())?;
    let colour = |index: usize| palette.get(index * 3..index * 3 + 3).map_or([0; 3], |c| [c[0], c[1], c[2]]);
    let table: [[u8; 3]; 256] = std::array::from_fn(colour);
    let mut pixels = table[usize::from(free)].repeat(stored.pixels());
    for (y, row) in indices.chunks_exact(width.max(1)).enumerate() {
        let at = ((top + y) * stored.width + left) * 3;
        let place = pixels.get_mut(at..at + width * 3).ok_or("its frame lies outside of its canvas")?;
        for (pixel, index) in place.chunks_exact_mut(3).zip(row) {
            pixel.copy_from_slice(&table[usize::from(*index)]);
        }
    }
    Ok(pixels)
}

/// The greys from black to white: what an index means where there is no palette.
const GREYS: [u8; 768] = {
    let mut greys = [0; 768];
    let mut at = 0;
    while at < greys.len() {
        greys[at] = (at / 3) as u8;
        at += 1;
    }
    greys
};
/// Length of the part of a file before its palette.
const HEAD: usize = 13;

type Source<'a> = Chain<Chain<std::io::Cursor<Vec<u8>>, &'static [u8]>, &'a [u8]>;

/// A decoder of a file that has a palette, be it one of greys.
fn decoder(bytes: &[u8]) -> Result<Decoder<Source<'_>>, String> {
    let (head, rest) = bytes.split_at_checked(HEAD).ok_or("the header is cut off")?;
    let (mut head, mut greys) = (head.to_vec(), &GREYS[..0]);
    // The flags say whether there is a palette, and the logarithm of its length.
    if head[10] & 0x80 == 0 {
        (head[10], greys) = (head[10] | 0x87, &GREYS[..]);
    }
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    options.set_memory_limit(MemoryLimit::Bytes(KEPT));
    options.read_info(std::io::Cursor::new(head).chain(greys).chain(rest)).map_err(|e| e.to_string())
}
