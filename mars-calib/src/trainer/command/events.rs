//! Loss curves in the event files of TensorBoard: records of TFRecord, each an `Event` in the wire format of protocol buffers.
//!
//! A record is its length (u64), a masked CRC-32C of that, the bytes, and a masked CRC-32C of those, all little-endian. Of an
//! event only the step and scalar values are read, as `simple_value` or as a tensor of one f32.

use super::{Curves, history::History};
use crate::Error;
use mars_lora::stored::regular;
use std::{
    io::{self, BufReader, ErrorKind, Read},
    path::Path,
};

/// Longest event that is looked into, bytes; longer ones hold pictures or graphs, and are only checked.
const LONGEST_EVENT: u64 = 1 << 20;

/// The curves of the event files `paths`, as they were written. A record that ends with the file before its own end is one that is being written,
/// and is left out.
///
/// # Errors
/// [`Error::Corrupt`] with the place of a record whose checksum is wrong or that is no event, [`Error::Io`].
pub(super) fn read(paths: &[impl AsRef<Path>]) -> Result<Curves, Error> {
    let mut history = History::default();
    let mut last = Path::new("");
    for path in paths {
        last = path.as_ref();
        add(last, &mut history)?;
    }
    history.curves(last)
}

fn add(path: &Path, history: &mut History) -> Result<(), Error> {
    let mut file = BufReader::new(regular::open(path).map_err(Error::io("read", path))?);
    let mut at = 0_u64;
    loop {
        let corrupt = |what: &str| Error::Corrupt {
            path: path.to_owned(),
            why: format!(
                "not an event file of TensorBoard: {what} at byte {at}; remove it, or train the run again"
            ),
        };
        let Some(record) = record(&mut file).map_err(Error::io("read", path))? else { return Ok(()) };
        let (length, event) = record.map_err(corrupt)?;
        if let Some(bytes) = event {
            event_of(&bytes, history).ok_or_else(|| corrupt("a record that is no event"))?;
        }
        at = at.saturating_add(length).saturating_add(16);
    }
}

/// Length and bytes of a record, these only where it is short; what is wrong with it; `None` at the end.
type Record = Result<(u64, Option<Vec<u8>>), &'static str>;

fn record(file: &mut impl Read) -> io::Result<Option<Record>> {
    let Some(header) = exact::<12>(file)? else { return Ok(None) };
    let ([a, b, c, d, e, f, g, h, ..], length_crc) = (header, last_word(&header));
    if masked(crc32c::crc32c(&header[..8])) != length_crc {
        return Ok(Some(Err("a length with a wrong checksum")));
    }
    let length = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
    let (mut crc, mut left, mut kept) = (0, length, Vec::new());
    let mut part = [0; 4096];
    while left > 0 {
        let wanted = part.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let Some(read) = up_to(file, &mut part[..wanted])? else { return Ok(None) };
        crc = crc32c::crc32c_append(crc, &part[..read]);
        if length <= LONGEST_EVENT {
            kept.extend_from_slice(&part[..read]);
        }
        left -= read as u64;
    }
    let Some(footer) = exact::<4>(file)? else { return Ok(None) };
    if masked(crc) != u32::from_le_bytes(footer) {
        return Ok(Some(Err("a record with a wrong checksum")));
    }
    Ok(Some(Ok((length, (length <= LONGEST_EVENT).then_some(kept)))))
}

fn last_word(header: &[u8; 12]) -> u32 {
    let [.., a, b, c, d] = *header;
    u32::from_le_bytes([a, b, c, d])
}

/// The masking of TFRecord, so that a checksum of data that hold checksums keeps its strength.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// The next `N` bytes; `None` where the file ends before.
fn exact<const N: usize>(file: &mut impl Read) -> io::Result<Option<[u8; N]>> {
    let mut bytes = [0; N];
    match file.read_exact(&mut bytes) {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
    }
}

/// How many bytes were read, at least one; `None` at the end of the file.
fn up_to(file: &mut impl Read, part: &mut [u8]) -> io::Result<Option<usize>> {
    loop {
        match file.read(part) {
            Ok(0) => return Ok(None),
            Ok(read) => return Ok(Some(read)),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Takes the losses of an event; `None` if the bytes are none.
fn event_of(bytes: &[u8], history: &mut History) -> Option<()> {
    let (mut step, mut summaries) = (0, Vec::new());
    for field in Fields(bytes) {
        match field? {
            (2, Value::Number(number)) => step = usize::try_from(number).ok()?,
            (5, Value::Bytes(summary)) => summaries.push(summary),
            _ => {}
        }
    }
    for value in summaries.into_iter().flat_map(Fields) {
        let (1, Value::Bytes(value)) = value? else { continue };
        let (mut tag, mut scalar) = ("", None);
        for field in Fields(value) {
            match field? {
                (1, Value::Bytes(name)) => tag = std::str::from_utf8(name).ok()?,
                (2, Value::Four(bits)) => scalar = Some(f32::from_le_bytes(bits)),
                (8, Value::Bytes(tensor)) => scalar = tensor_of(tensor)?.or(scalar),
                _ => {}
            }
        }
        if let Some(scalar) = scalar {
            history.add(step, tag, f64::from(scalar));
        }
    }
    Some(())
}

/// The value of a tensor of one f32, if it is one.
fn tensor_of(bytes: &[u8]) -> Option<Option<f32>> {
    let (mut is_f32, mut value) = (false, None);
    for field in Fields(bytes) {
        match field? {
            (1, Value::Number(1)) => is_f32 = true,
            (5, Value::Four(bits)) => value = Some(f32::from_le_bytes(bits)),
            (4 | 5, Value::Bytes(bytes)) => value = bytes.try_into().ok().map(f32::from_le_bytes).or(value),
            _ => {}
        }
    }
    Some(value.filter(|_| is_f32))
}

/// A value in the wire format.
enum Value<'a> {
    Number(u64),
    Four([u8; 4]),
    Bytes(&'a [u8]),
    /// Eight bytes, which nothing here needs.
    Eight,
}

/// The fields of a message with their numbers; a `None` for what is none, after which there are no more.
struct Fields<'a>(&'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = Option<(u64, Value<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Fields<'a> {
    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Number(self.varint()?),
            1 => self.take(8).map(|_| Value::Eight)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Value::Bytes(self.take(length)?)
            }
            5 => Value::Four(self.take(4)?.try_into().ok()?),
            _ => return None,
        };
        Some((key >> 3, value))
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}
