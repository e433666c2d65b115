use super::super::tiles::Panels;
use super::{Heads, Sizes};
use pulp::{Simd, WithSimd};

/// Keys and values of a group, packed as products need them.
pub(super) struct Packed {
    /// `k^T`.
    pub(super) keys: Panels,
    /// v, forward; `v^T`, backward.
    pub(super) values: Panels,
    /// k, backward.
    pub(super) key_rows: Option<Panels>,
}

pub(super) struct Pack<'a, 'h> {
    pub(super) heads: &'a Heads<'h>,
    pub(super) sequence: usize,
    pub(super) group: usize,
    pub(super) backward: bool,
}

impl WithSimd for Pack<'_, '_> {
    type Output = Packed;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Packed {
        let Self { heads: all, sequence, group, backward } = self;
        let Sizes { positions, width, .. } = all.sizes;
        let mut own = Vec::with_capacity(positions * width);
        all.take(&mut own, &all.keys, (sequence, group), 0..positions, Some(1.0));
        let keys = Panels::new().columns(&own, width, [width, positions]);
        let key_rows = backward.then(|| Panels::new().rows(&own, width, [positions, width]));
        all.take(&mut own, &all.values, (sequence, group), 0..positions, None);
        let values = match backward {
            true => Panels::new().columns(&own, width, [width, positions]),
            false => Panels::new().rows(&own, width, [positions, width]),
        };
        Packed { keys, values, key_rows }
    }
}
