use std::{cell::RefCell, mem::MaybeUninit};

use rayon::prelude::*;

use super::{
    Panels, rows,
    tasks::{Task, tasks},
};
use crate::tile::{BLOCK, Engine, Line, Program, STEP, Sums};

/// Bytes of moving rows that a task keeps, well below what a core caches on its second level.
const SCRATCH: usize = 512 << 10;
/// Rows of a task at most.
const ROWS: usize = 256;

thread_local! {
    /// Moving rows of the task that runs on this thread.
    static MOVING: RefCell<Vec<Line>> = const { RefCell::new(Vec::new()) };
}

/// A matrix of which tasks write disjoint rectangles.
#[derive(Clone, Copy)]
struct Out(*mut f32);

// SAFETY: tasks write disjoint rectangles, and the matrix is borrowed exclusively until all have ended.
unsafe impl Send for Out {}
// SAFETY: as above.
unsafe impl Sync for Out {}

impl Panels {
    /// `y = x W`: `x` `[rows, k]`, `y` `[rows, n]`, of which every value is written. `threads` are those of rayon's pool
    /// that work is split for; one stays on this thread. Each value is summed in the same order however it is split.
    pub(crate) fn multiply<E: Engine>(
        &self,
        rows: usize,
        x: &[f32],
        y: &mut [MaybeUninit<f32>],
        program: Program,
        threads: usize,
    ) {
        assert!(x.len() == rows * self.k && y.len() == rows * self.n, "sizes were checked");
        assert_eq!(program == Program::Three, self.low, "the weight has the parts of the program");
        if rows == 0 || self.n == 0 {
            return;
        }
        if self.k == 0 {
            y.fill(MaybeUninit::new(0.0));
            return;
        }
        let of_row = size_of::<Line>() * program.moving() / BLOCK * self.k.div_ceil(STEP);
        let most = (SCRATCH / of_row).min(ROWS);
        let all = tasks(rows, self.n.div_ceil(BLOCK), BLOCK, most, threads);
        let out = Out(y.as_mut_ptr().cast());
        // SAFETY: tasks are disjoint rectangles of `y`, which has `rows` rows of n values.
        let run = |task: &Task| unsafe { self.task::<E>(task, x, out, program) };
        if all.len() == 1 || threads == 1 {
            all.iter().for_each(run);
        } else {
            all.par_iter().for_each(run);
        }
    }

    /// # Safety
    /// The rectangle of `task` is in the matrix `out` of rows of n values, and nothing else touches it.
    unsafe fn task<E: Engine>(&self, task: &Task, x: &[f32], out: Out, program: Program) {
        let (k, n, steps) = (self.k, self.n, self.k.div_ceil(STEP));
        let of_panel = steps * program.weights();
        let of_block = steps * program.moving();
        let blocks = task.height.div_ceil(BLOCK);
        MOVING.with_borrow_mut(|lines| {
            if lines.len() < blocks * of_block {
                lines.resize(blocks * of_block, Line::ZERO);
            }
            let lines = &mut lines[..blocks * of_block];
            rows::fill(&x[task.row * k..][..task.height * k], k, lines, program != Program::One);
            let mut edge = Sums::ZERO;
            let mut engine = E::configure();
            for panel in task.panel..task.panel + task.width {
                let weights = &self.lines[panel * of_panel..][..of_panel];
                let columns = BLOCK.min(n - panel * BLOCK);
                for block in 0..blocks {
                    let moving = &lines[block * of_block..][..of_block];
                    let high = BLOCK.min(task.height - block * BLOCK);
                    // SAFETY: the first value of the block is in the rectangle.
                    let place = unsafe { out.0.add((task.row + block * BLOCK) * n + panel * BLOCK) };
                    if high == BLOCK && columns == BLOCK {
                        // SAFETY: all 32 rows of 32 values are in the rectangle.
                        unsafe { engine.block(program, moving, weights, BLOCK, place, n) };
                        continue;
                    }
                    // SAFETY: `edge` has 32 rows of 32 values.
                    unsafe { engine.block(program, moving, weights, high, edge.0.as_mut_ptr(), BLOCK) };
                    for (r, row) in edge.0.chunks_exact(BLOCK).take(high).enumerate() {
                        // SAFETY: `high` rows of `columns` values are in the rectangle.
                        unsafe { std::ptr::copy_nonoverlapping(row.as_ptr(), place.add(r * n), columns) };
                    }
                }
            }
            engine.release();
        });
    }
}
