//! PBM, PGM and PPM, plain and raw.

use super::decode::Stored;

const SPACE: &[u8] = b" \t\n\x0b\x0c\r";
/// Numbers have no more digits.
const LONGEST_NUMBER: usize = 10;

/// Whether it begins with P1 to P6 and a space.
pub(super) fn begins(bytes: &[u8]) -> bool {
    matches!(bytes, [b'P', b'1'..=b'6', space, ..] if SPACE.contains(space))
}

/// Size and depth.
pub(super) fn header(bytes: &[u8]) -> Result<Stored, String> {
    Ok(Head::read(bytes)?.0.stored())
}

/// Values are scaled so that the largest becomes 255; grey of more than 255 steps is scaled to 65535 and clipped at 255,
/// as Pillow does.
pub(super) fn pixels(bytes: &[u8], stored: &Stored) -> Result<Vec<u8>, String> {
    let (head, data) = Head::read(bytes)?;
    let count = stored.pixels() * if head.colour() { 3 } else { 1 };
    let values = match head.magic {
        b'1' => bits_as_text(data, count)?,
        b'2' | b'3' => numbers(data, count, &head)?,
        b'4' => bits(data, stored)?,
        _ => head.raw(data, count)?,
    };
    Ok(if head.colour() { values } else { values.iter().flat_map(|v| [*v; 3]).collect() })
}

struct Head {
    magic: u8,
    width: usize,
    height: usize,
    /// Largest value; 1 for bits.
    most: u32,
}

impl Head {
    /// The header, and what follows it.
    fn read(bytes: &[u8]) -> Result<(Self, &[u8]), String> {
        let magic = *bytes.get(1).ok_or("the header is cut off")?;
        let mut rest = bytes.get(3..).unwrap_or_default();
        let mut number = || number(&mut rest, true)?.ok_or_else(|| "the header is cut off".to_string());
        let (width, height) = (number()? as usize, number()? as usize);
        let most = if matches!(magic, b'1' | b'4') { 1 } else { number()? };
        if !(1..=65535).contains(&most) {
            return Err(format!("the largest value is {most}, expected 1 to 65535"));
        }
        Ok((Self { magic, width, height, most }, rest))
    }

    fn colour(&self) -> bool {
        matches!(self.magic, b'3' | b'6')
    }

    fn deep(&self) -> bool {
        self.most > 255 && !self.colour()
    }

    fn stored(&self) -> Stored {
        Stored { deep_grey: self.deep(), ..Stored::upright(self.width, self.height) }
    }

    fn scaled(&self, value: u32) -> u8 {
        let most = if self.deep() { 65535.0 } else { 255.0 };
        // Halves to even, and the order of operations, are Python's.
        (f64::from(value) / f64::from(self.most) * most).round_ties_even().min(255.0) as u8
    }

    fn raw(&self, data: &[u8], count: usize) -> Result<Vec<u8>, String> {
        let width = if self.most > 255 { 2 } else { 1 };
        let data = data.get(..count * width).ok_or(CUT)?;
        Ok(match width {
            1 if self.most == 255 => data.to_vec(),
            1 => data.iter().map(|v| self.scaled(u32::from(*v))).collect(),
            _ => data
                .chunks_exact(2)
                .map(|v| self.scaled(u32::from(u16::from_be_bytes([v[0], v[1]]))))
                .collect(),
        })
    }
}

const CUT: &str = "the file is cut off: it ends before the last row of pixels";

/// The next number of a text, and one space after it; `None` at the end. Comments run from `#` to the end of a line.
fn number(rest: &mut &[u8], header: bool) -> Result<Option<u32>, String> {
    let mut digits = String::new();
    while let Some((&byte, after)) = rest.split_first() {
        *rest = after;
        match byte {
            b'#' => {
                let end = rest.iter().position(|b| matches!(b, b'\n' | b'\r'));
                *rest = end.map_or(&[][..], |end| &rest[end + 1..]);
                // Between values a comment stands for nothing; in the header too.
                if !header && !digits.is_empty() && rest.is_empty() {
                    break;
                }
            }
            _ if SPACE.contains(&byte) => {
                if !digits.is_empty() {
                    break;
                }
            }
            b'0'..=b'9' if digits.len() < LONGEST_NUMBER => digits.push(char::from(byte)),
            _ => return Err(format!("`{}` where a number is expected", char::from(byte).escape_default())),
        }
    }
    if digits.is_empty() {
        return Ok(None);
    }
    digits.parse().map(Some).map_err(|_| format!("the number {digits} is too large"))
}

fn numbers(mut data: &[u8], count: usize, head: &Head) -> Result<Vec<u8>, String> {
    // Each takes a digit and a space.
    if count.div_ceil(2) > data.len() {
        return Err(CUT.into());
    }
    let mut values = Vec::with_capacity(count);
    while values.len() < count {
        let value = number(&mut data, false)?.ok_or(CUT)?;
        if value > head.most {
            return Err(format!("the value {value} is larger than the largest, {}", head.most));
        }
        values.push(head.scaled(value));
    }
    Ok(values)
}

/// Ones are black; spaces between them may lack.
fn bits_as_text(data: &[u8], count: usize) -> Result<Vec<u8>, String> {
    let mut values = Vec::with_capacity(count.min(data.len()));
    let mut comment = false;
    for byte in data {
        match byte {
            b'\n' | b'\r' if comment => comment = false,
            _ if comment => {}
            b'#' => comment = true,
            b'0' => values.push(255),
            b'1' => values.push(0),
            _ if SPACE.contains(byte) => {}
            _ => return Err(format!("`{}` where 0 or 1 is expected", char::from(*byte).escape_default())),
        }
        if values.len() == count {
            return Ok(values);
        }
    }
    Err(CUT.into())
}

/// Eight pixels a byte, rows begin at bytes; ones are black.
fn bits(data: &[u8], stored: &Stored) -> Result<Vec<u8>, String> {
    let stride = stored.width.div_ceil(8);
    let data = data.get(..stride * stored.height).ok_or(CUT)?;
    let row = |row: &[u8]| {
        (0..stored.width)
            .map(|x| if row[x / 8] >> (7 - x % 8) & 1 == 1 { 0 } else { 255 })
            .collect::<Vec<u8>>()
    };
    Ok(data.chunks_exact(stride.max(1)).flat_map(row).collect())
}
