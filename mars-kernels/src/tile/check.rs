use std::mem::MaybeUninit;

use super::{Engine, Program};
use crate::panels::{Direction, Panels};
use crate::products::{LeftOperand, RightOperand, run};

type Add = fn(&mut [f32], usize, &LeftOperand, &RightOperand, usize);
type Multiply = fn(&Panels, Direction, usize, &[f32], &mut [MaybeUninit<f32>], Program, usize);

/// Whether two engines give the same products on sizes that fill no tile.
///
/// Operands are whole numbers whose sums f32 holds exactly, so that the order of additions within an instruction, which
/// processors are not bound to, cannot make a difference, while a wrong tile, row, place or part does. Products in one piece and forward
/// only: what others have beside is not the engine's, or the same instructions.
pub(crate) fn agrees<A: Engine, B: Engine>() -> bool {
    let (rows, k, n) = (37, 70, 41);
    let x: Vec<f32> = whole(rows * k, 1).map(|v| (v % 2048) as f32 - 1024.0).collect();
    // Weights of 9 to 11 bits have a rest, those of 4 have none.
    [16, 1024].into_iter().all(|range| {
        let w: Vec<f32> = whole(k * n, 2).map(|v| (v % range) as f32 / 64.0 - range as f32 / 128.0).collect();
        let (mut left, mut right) = (LeftOperand::new(), RightOperand::new());
        left.set(&x, k, rows, k);
        right.set(&w, n, k, n);
        let added = |add: Add| {
            let mut y = vec![1.0; rows * n];
            add(&mut y, n, &left, &right, n);
            y
        };
        let (a, b) = (added(run::<A, true>), added(run::<B, true>));
        a.iter().zip(&b).all(|(a, b)| a.to_bits() == b.to_bits())
            && [Program::One, Program::Two, Program::Three].into_iter().all(|program| {
                let Ok(panels) = Panels::pack(k, n, program == Program::Three, |i, o| w[i * n + o]) else {
                    return false;
                };
                let product = |multiply: Multiply| {
                    let mut y = vec![MaybeUninit::new(f32::NAN); rows * n];
                    multiply(&panels, Direction::Forward, rows, &x, &mut y, program, 1);
                    y
                };
                let (a, b) = (product(Panels::multiply::<A>), product(Panels::multiply::<B>));
                // SAFETY: they had values from the start.
                a.iter()
                    .zip(&b)
                    .all(|(a, b)| unsafe { a.assume_init().to_bits() == b.assume_init().to_bits() })
            })
    })
}

/// Numbers that look random.
fn whole(count: usize, seed: u64) -> impl Iterator<Item = u64> {
    (0..count as u64).map(move |i| (i + seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Unusable,
        bf16::{rest, round},
        tile::{Emulator, Line, dot_products},
    };

    #[test]
    fn the_emulator_agrees_with_itself() {
        assert!(agrees::<Emulator, Emulator>());
    }

    #[test]
    fn dot_products_of_this_processor_agree_with_the_emulator_where_it_has_them() {
        let usable = dot_products();
        assert_ne!(usable, Err(Unusable::Differs));
        #[cfg(target_arch = "x86_64")]
        assert_eq!(usable.is_ok(), is_x86_feature_detected!("avx512bf16"));
    }

    #[test]
    fn operands_of_the_check_have_rests_and_exact_sums() {
        let parts = |v: f32| (round(v), rest(v, round(v)));
        assert!(whole(2590, 1).map(|v| (v % 2048) as f32 - 1024.0).any(|v| parts(v).1 != 0));
        assert!(whole(2870, 2).map(|v| (v % 1024) as f32 / 64.0 - 8.0).any(|v| parts(v).1 != 0));
        // In units of 1 / 64, which all parts are multiples of: no sum of terms reaches 2^24, in whatever order.
        let x: Vec<i64> = whole(37 * 70, 1).map(|v| (v % 2048) as i64 - 1024).collect();
        let w: Vec<i64> = whole(70 * 41, 2).map(|v| (v % 1024) as i64 - 512).collect();
        for (r, o) in (0..37).flat_map(|r| (0..41).map(move |o| (r, o))) {
            let sum: i64 = (0..70).map(|i| (x[r * 70 + i] * w[i * 41 + o]).abs()).sum();
            assert!(sum < 1 << 24, "{sum}");
        }
    }

    /// An emulator with a fault.
    struct Faulty<const FAULT: usize>(Emulator);

    impl<const FAULT: usize> Engine for Faulty<FAULT> {
        fn configure() -> Self {
            Self(Emulator::configure())
        }

        unsafe fn block(
            &mut self,
            program: Program,
            moving: &[Line],
            weights: &[Line],
            rows: usize,
            to: *mut f32,
            stride: usize,
        ) {
            let (mut moving, mut weights) = (moving.to_vec(), weights.to_vec());
            let program = match (FAULT, program) {
                (0, _) => {
                    moving.swap(3, 4);
                    program
                }
                (1, _) => {
                    weights[1].0.swap(0, 1);
                    program
                }
                (2, Program::Three) => {
                    weights = weights.chunks(64).flat_map(|step| step[..32].to_vec()).collect();
                    Program::Two
                }
                (3, Program::Two) => {
                    moving = moving.chunks(64).flat_map(|step| step[..32].to_vec()).collect();
                    Program::One
                }
                _ => program,
            };
            // SAFETY: as the caller says.
            unsafe { self.0.block(program, &moving, &weights, rows, to, stride) };
        }

        fn release(self) {}
    }

    #[test]
    fn an_engine_with_swapped_rows_swapped_pairs_or_a_part_left_out_is_noticed() {
        assert!(!agrees::<Faulty<0>, Emulator>());
        assert!(!agrees::<Faulty<1>, Emulator>());
        assert!(!agrees::<Faulty<2>, Emulator>());
        assert!(!agrees::<Faulty<3>, Emulator>());
        assert!(agrees::<Faulty<4>, Emulator>());
    }
}
