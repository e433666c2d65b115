//! The header of a BMP.

/// How pixels are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    /// As indices of the palette.
    Indices,
    /// As runs of indices, of 4 bits or of 8.
    Runs { half: bool },
    /// 5 bits each, or 6 of green.
    Short { green: u32 },
    /// Whole bytes: the places of red, green and blue.
    Bytes([usize; 3]),
}

/// What it says.
pub(super) struct Head {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) top_down: bool,
    /// Bits of a pixel: 1, 4, 8, 16, 24 or 32.
    pub(super) bits: u16,
    pub(super) coding: Coding,
    /// Where the pixels begin.
    pub(super) data: usize,
    palette: Vec<[u8; 3]>,
}

impl Head {
    /// Reads and checks it.
    ///
    /// # Errors
    /// A few words about what is missing or not read.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, String> {
        let byte = |at: usize| bytes.get(at).copied().ok_or("the header is cut off");
        let short = |at: usize| Ok::<_, String>(u16::from_le_bytes([byte(at)?, byte(at + 1)?]));
        let long = |at: usize| Ok::<_, String>(u32::from(short(at)?) | u32::from(short(at + 2)?) << 16);
        let (data, size) = (long(10)? as usize, long(14)? as usize);
        let old = size == 12;
        if !matches!(size, 12 | 40 | 52 | 56 | 64 | 108 | 124) {
            return Err(format!("a header of {size} bytes is not read"));
        }
        let top_down = !old && byte(25)? == 0xff;
        let (width, height, bits) = if old {
            (u32::from(short(18)?), u32::from(short(20)?), short(24)?)
        } else {
            let height = long(22)?;
            (long(18)?, if top_down { height.wrapping_neg() } else { height }, short(28)?)
        };
        let (coding, colours) = if old { (0, 0) } else { (long(30)?, long(46)?) };
        let masks = if coding == 3 { Some([long(54)?, long(58)?, long(62)?]) } else { None };
        let unread = || format!("{bits} bits of coding {coding} are not read");
        let coding = match (bits, coding) {
            (1 | 4 | 8, 0) => Coding::Indices,
            (8, 1) => Coding::Runs { half: false },
            (4, 2) => Coding::Runs { half: true },
            (16, 0) => Coding::Short { green: 5 },
            (24 | 32, 0) => Coding::Bytes([2, 1, 0]),
            (16 | 24 | 32, 3) => masked(bits, masks.unwrap_or_default()).ok_or_else(unread)?,
            _ => return Err(unread()),
        };
        let (mut data, width_of_colour) = (data, if old { 3 } else { 4 });
        let mut palette = Vec::new();
        if bits <= 8 {
            let count = if colours == 0 { 1 << bits } else { colours as usize };
            if count > 1 << 16 {
                return Err(format!("a palette of {count} colours is not read"));
            }
            let end = 14 + size + count * width_of_colour;
            let colours = bytes.get(14 + size..end).ok_or("the palette is cut off")?;
            palette = colours.chunks_exact(width_of_colour).map(|c| [c[2], c[1], c[0]]).collect();
            if data == 14 + size || data == 0 {
                data = end;
            }
        }
        let (width, height) = (width as usize, height as usize);
        Ok(Self { width, height, top_down, bits, coding, data, palette })
    }

    /// The colour of a pixel of a row, which is long enough.
    pub(super) fn colour(&self, row: &[u8], x: usize) -> [u8; 3] {
        let bits = usize::from(self.bits);
        let indexed = |index: u8| self.palette.get(usize::from(index)).copied().unwrap_or_default();
        match self.coding {
            Coding::Runs { .. } => indexed(row[x]),
            Coding::Indices => {
                let shift = 8 - bits - x * bits % 8;
                indexed((row[x * bits / 8] >> shift) & (0xff >> (8 - bits)))
            }
            Coding::Short { green } => {
                let value = u32::from(u16::from_le_bytes([row[2 * x], row[2 * x + 1]]));
                let part = |shift: u32, bits: u32| {
                    let most = (1 << bits) - 1;
                    ((value >> shift & most) * 255 / most) as u8
                };
                [part(5 + green, 5), part(5, green), part(0, 5)]
            }
            Coding::Bytes(places) => places.map(|place| row[x * bits / 8 + place]),
        }
    }
}

/// The coding of colours under these masks of red, green and blue.
fn masked(bits: u16, masks: [u32; 3]) -> Option<Coding> {
    match (bits, masks) {
        (16, [0xf800, 0x7e0, 0x1f]) => Some(Coding::Short { green: 6 }),
        (16, [0x7c00, 0x3e0, 0x1f]) => Some(Coding::Short { green: 5 }),
        (16, _) => None,
        (_, [0, 0, 0]) => Some(Coding::Bytes([2, 1, 0])),
        _ => {
            let bytes = masks.map(|mask| mask.trailing_zeros());
            let whole =
                masks.iter().zip(bytes).all(|(mask, at)| at % 8 == 0 && mask.checked_shr(at) == Some(0xff));
            let places = bytes.map(|at| at as usize / 8);
            (whole && places.iter().all(|place| *place < usize::from(bits) / 8))
                .then_some(Coding::Bytes(places))
        }
    }
}
