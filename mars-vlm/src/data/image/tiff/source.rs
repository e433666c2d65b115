//! The bytes of a TIFF file, shown to the decoder so that it gives samples as they are.

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use tiff::decoder::{Decoder, Limits};

/// `PhotometricInterpretation`.
const PHOTOMETRIC: u16 = 262;
/// Grey whose least value is black: samples that the decoder does not touch.
const BLACK_IS_ZERO: u16 = 1;

/// What the samples of the first image mean, and where the file says so.
pub(super) struct Raw {
    /// Value of `PhotometricInterpretation`.
    pub(super) photometric: u16,
    /// Whether numbers begin with their high byte.
    pub(super) big_endian: bool,
    at: u64,
}

impl Raw {
    /// Finds the tag in the first directory.
    pub(super) fn find(bytes: &[u8]) -> Result<Self, String> {
        let big_endian = bytes.starts_with(b"MM");
        let number = |at: usize, width: usize| -> Result<u64, String> {
            let found = at.checked_add(width).and_then(|end| bytes.get(at..end));
            let part = found.ok_or("the file is cut off: its directory is missing")?;
            let step = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
            Ok(if big_endian { part.iter().fold(0, step) } else { part.iter().rev().fold(0, step) })
        };
        // Widths of an offset and of the count of entries, length of an entry, and where its value is.
        let (offset, count, entry, value) = if number(2, 2)? == 43 { (8, 8, 20, 12) } else { (4, 2, 12, 8) };
        let directory = usize::try_from(number(offset, offset)?).map_err(|e| e.to_string())?;
        let entries = number(directory, count)?;
        for k in 0..entries.min(u64::from(u16::MAX)) as usize {
            let at = directory.saturating_add(count + k * entry);
            if number(at, 2)? == u64::from(PHOTOMETRIC) {
                let at = at.saturating_add(value);
                return Ok(Self { photometric: number(at, 2)? as u16, big_endian, at: at as u64 });
            }
        }
        Err("it does not say what its samples mean (PhotometricInterpretation)".into())
    }
}

/// A decoder of the samples.
pub(super) fn decoder<'a>(bytes: &'a [u8], raw: &Raw) -> Result<Decoder<Overlaid<'a>>, String> {
    let value = if raw.big_endian { BLACK_IS_ZERO.to_be_bytes() } else { BLACK_IS_ZERO.to_le_bytes() };
    let source = Overlaid { bytes: Cursor::new(bytes), at: raw.at, value };
    let mut limits = Limits::default();
    limits.decoding_buffer_size = 1 << 29;
    limits.intermediate_buffer_size = 1 << 29;
    limits.ifd_value_size = 1 << 24;
    Ok(Decoder::new(source).map_err(|e| e.to_string())?.with_limits(limits))
}

/// Bytes, two of which read as others.
pub(super) struct Overlaid<'a> {
    bytes: Cursor<&'a [u8]>,
    at: u64,
    value: [u8; 2],
}

impl Overlaid<'_> {
    /// Length of the file.
    pub(super) fn length(&self) -> usize {
        self.bytes.get_ref().len()
    }
}

impl Read for Overlaid<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let start = self.bytes.position();
        let count = self.bytes.read(into)?;
        for (k, byte) in self.value.iter().enumerate() {
            let place = (self.at + k as u64).checked_sub(start).filter(|place| *place < count as u64);
            if let Some(place) = place.and_then(|place| into.get_mut(place as usize)) {
                *place = *byte;
            }
        }
        Ok(count)
    }
}

impl Seek for Overlaid<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.bytes.seek(to)
    }
}
