use super::super::tiles::Panels;
use super::{Heads, Sizes, Source};
use pulp::{Arch, Simd, WithSimd};

impl Heads<'_> {
    /// What keys or values of a group are packed into for products: columns `[W, S]` where `transposed`, else rows `[S, W]`. Keys are turned.
    pub(super) fn packed(
        &self,
        source: &Source<'_>,
        of: (usize, usize),
        transposed: bool,
        turned: bool,
    ) -> Panels {
        Arch::new().dispatch(Pack { heads: self, source, of, transposed, turned })
    }
}

struct Pack<'a, 'h> {
    heads: &'a Heads<'h>,
    source: &'a Source<'a>,
    of: (usize, usize),
    transposed: bool,
    turned: bool,
}

impl WithSimd for Pack<'_, '_> {
    type Output = Panels;

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Panels {
        let Self { heads, source, of, transposed, turned } = self;
        let Sizes { positions, width, .. } = heads.sizes;
        let mut own = Vec::with_capacity(positions * width);
        heads.take(&mut own, source, of, 0..positions, turned.then_some(1.0));
        match transposed {
            true => Panels::new().columns(&own, width, [width, positions]),
            false => Panels::new().rows(&own, width, [positions, width]),
        }
    }
}
