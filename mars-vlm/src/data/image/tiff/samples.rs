//! The samples of all pixels.

/// One by one, of at most 16 bits each.
pub(super) enum Samples {
    /// Of 1 to 8 bits.
    Bytes(Vec<u8>),
    /// Of 16 bits.
    Words(Vec<u16>),
}

impl Samples {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bytes(all) => all.len(),
            Self::Words(all) => all.len(),
        }
    }

    /// The sample at a place before [`len`](Self::len).
    pub(super) fn at(&self, place: usize) -> u16 {
        match self {
            Self::Bytes(all) => u16::from(all[place]),
            Self::Words(all) => all[place],
        }
    }

    /// Samples of fewer than 8 bits out of bytes, at which rows of `width` of them begin.
    pub(super) fn unpacked(packed: &[u8], bits: u32, width: usize) -> Self {
        let bits = bits as usize;
        let stride = (width * bits).div_ceil(8).max(1);
        let mask = 0xff >> (8 - bits);
        let row = |row: &[u8], x: usize| row[x * bits / 8] >> (8 - bits - x * bits % 8) & mask;
        let rows = packed.chunks_exact(stride);
        Self::Bytes(rows.flat_map(|bytes| (0..width).map(move |x| row(bytes, x))).collect())
    }
}
