/// Where the heads of a tensor lie: the values of head h at position s of sequence b begin at `from + b sequence + h head + s row`.
#[derive(Clone, Copy)]
pub(in crate::ops) struct Source<'a> {
    pub(in crate::ops) values: &'a [f32],
    pub(in crate::ops) from: usize,
    pub(in crate::ops) sequence: usize,
    pub(in crate::ops) head: usize,
    pub(in crate::ops) row: usize,
}

impl Source<'_> {
    /// The `width` values of a head at a position.
    #[inline(always)]
    pub(super) fn at(&self, sequence: usize, head: usize, position: usize, width: usize) -> &[f32] {
        let from = self.from + sequence * self.sequence + head * self.head + position * self.row;
        &self.values[from..][..width]
    }
}
