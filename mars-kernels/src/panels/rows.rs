//! Moving rows, rounded into tiles.

use std::ops::Range;

use crate::tile::{BLOCK, Line, Rounded, Rounding, STEP, rounded};

/// Rounds the values of some steps of rows of `k` values into `lines`, 32 lines for each block, part and step, all of which are
/// written.
pub(super) fn fill(x: &[f32], k: usize, steps: Range<usize>, lines: &mut [Line], two: bool) {
    rounded(Fill { x, k, steps, lines, two });
}

struct Fill<'a> {
    x: &'a [f32],
    k: usize,
    steps: Range<usize>,
    lines: &'a mut [Line],
    two: bool,
}

impl Rounded for Fill<'_> {
    #[inline(always)]
    fn run(self, rounding: impl Rounding) {
        let Self { x, k, steps, lines, two } = self;
        let of_step = if two { 2 * BLOCK } else { BLOCK };
        let of_block = steps.len() * of_step;
        for (block, lines) in lines.chunks_exact_mut(of_block).enumerate() {
            for r in 0..BLOCK {
                let row = x.get((block * BLOCK + r) * k..).and_then(|x| x.get(..k)).unwrap_or_default();
                for (step, lines) in steps.clone().zip(lines.chunks_exact_mut(of_step)) {
                    let values = row.get(step * STEP..).unwrap_or_default();
                    let mut some = [0.0; STEP];
                    let values = values.first_chunk::<STEP>().unwrap_or_else(|| {
                        some[..values.len()].copy_from_slice(values);
                        &some
                    });
                    let (first, second) = lines.split_at_mut(BLOCK);
                    rounding.row(values, &mut first[r], second.get_mut(r));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tile::Integers;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn vectors_give_the_same_bits(
            bits in prop::collection::vec(any::<u32>(), 1..200), k in 1usize..80, first in 0usize..3, two: bool,
        ) {
            let x: Vec<f32> = bits.into_iter().map(f32::from_bits).collect();
            let x = &x[..x.len() / k * k];
            let steps = first.min(k.div_ceil(STEP) - 1)..k.div_ceil(STEP);
            let count = (x.len() / k).div_ceil(BLOCK) * steps.len() * BLOCK * if two { 2 } else { 1 };
            let (mut a, mut b) = (vec![Line([7; STEP]); count], vec![Line([8; STEP]); count]);
            fill(x, k, steps.clone(), &mut a, two);
            Fill { x, k, steps, lines: &mut b, two }.run(Integers);
            prop_assert!(a.iter().zip(&b).all(|(a, b)| a.0 == b.0));
        }
    }
}
