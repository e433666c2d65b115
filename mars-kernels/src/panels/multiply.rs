use std::{cell::RefCell, mem::MaybeUninit};

use rayon::prelude::*;

use super::{
    Direction, Panels, rows,
    tasks::{Task, tasks},
};
use crate::tile::{BLOCK, Engine, Line, Program, STEP, Sums};

/// Steps along the depth that are multiplied at a time, at most: 1536 values. Deeper products are sums of several, so that moving rows and
/// panels stay in the caches.
const DEEP: usize = 48;
/// Bytes of moving rows that a task keeps, below what a core caches on its second level (1 MiB or more).
const MOVING: usize = 512 << 10;
/// Rows of a task at most, so that there are tasks for all threads.
const ROWS: usize = 256;

thread_local! {
    /// Moving rows of the task that runs on this thread, and a panel of the transposed weight.
    static SCRATCH: RefCell<[Vec<Line>; 2]> = const { RefCell::new([Vec::new(), Vec::new()]) };
}

/// A matrix of which tasks write disjoint rectangles.
#[derive(Clone, Copy)]
struct Out(*mut f32);

// SAFETY: tasks write disjoint rectangles, and the matrix is borrowed exclusively until all have ended.
unsafe impl Send for Out {}
// SAFETY: as above.
unsafe impl Sync for Out {}

impl Panels {
    /// `y = x W`, or `x W^T` if `direction` is backward: `x` `[rows, depth]`, `y` `[rows, columns]` as [`Panels::sizes`] says, of which
    /// every value is written. `threads` are those of rayon's pool that work is split for; one stays on this thread. Each value
    /// is summed in the same order however it is split.
    pub(crate) fn multiply<E: Engine>(
        &self,
        direction: Direction,
        rows: usize,
        x: &[f32],
        y: &mut [MaybeUninit<f32>],
        program: Program,
        threads: usize,
    ) {
        let (depth, columns) = self.sizes(direction);
        assert!(x.len() == rows * depth && y.len() == rows * columns, "sizes were checked");
        assert_eq!(program == Program::Three, self.low, "the weight has the parts of the program");
        if rows == 0 || columns == 0 {
            return;
        }
        if depth == 0 {
            y.fill(MaybeUninit::new(0.0));
            return;
        }
        let of_row = size_of::<Line>() * program.moving() / BLOCK * even(depth.div_ceil(STEP));
        let most = (MOVING / of_row).min(ROWS);
        // Tasks that divide the panels round the same rows again, tasks that divide the rows transpose the same panels again: going
        // backward, panels are divided first.
        let least = if direction == Direction::Forward { 3 } else { 1 };
        let all = tasks(rows, columns.div_ceil(BLOCK), BLOCK, most, least, threads);
        let out = Out(y.as_mut_ptr().cast());
        // SAFETY: tasks are disjoint rectangles of `y`, which has `rows` rows of as many columns.
        let run = |task: &Task| unsafe { self.task::<E>(direction, task, x, out, program) };
        if all.len() == 1 || threads == 1 {
            all.iter().for_each(run);
        } else {
            all.par_iter().for_each(run);
        }
    }

    /// # Safety
    /// The rectangle of `task` is in the matrix `out` of rows of all columns, and nothing else touches it.
    unsafe fn task<E: Engine>(
        &self,
        direction: Direction,
        task: &Task,
        x: &[f32],
        out: Out,
        program: Program,
    ) {
        let (k, n) = self.sizes(direction);
        let all = k.div_ceil(STEP);
        let x = &x[task.row * k..][..task.height * k];
        SCRATCH.with_borrow_mut(|[lines, transposed]| {
            let mut engine = E::configure();
            for first in (0..all).step_by(even(all)) {
                let steps = first..all.min(first + even(all));
                let of_panel = steps.len() * program.weights();
                let of_block = steps.len() * program.moving();
                let lines = resized(lines, task.height.div_ceil(BLOCK) * of_block);
                rows::fill(x, k, steps.clone(), lines, program != Program::One);
                for panel in task.panel..task.panel + task.width {
                    let weights = match direction {
                        Direction::Forward => {
                            &self.lines[(panel * all + first) * program.weights()..][..of_panel]
                        }
                        Direction::Backward => {
                            let transposed = resized(transposed, of_panel);
                            self.transposed(panel, first, transposed);
                            transposed
                        }
                    };
                    let columns = BLOCK.min(n - panel * BLOCK);
                    for (block, moving) in lines.chunks_exact(of_block).enumerate() {
                        let high = BLOCK.min(task.height - block * BLOCK);
                        // SAFETY: the first value of the block is in the rectangle, and so are `high` rows of `columns` values
                        // from it on, which were written with the first steps.
                        unsafe {
                            let place = out.0.add((task.row + block * BLOCK) * n + panel * BLOCK);
                            write_or_add(
                                &mut engine,
                                program,
                                [moving, weights],
                                place,
                                n,
                                [high, columns],
                                first > 0,
                            );
                        }
                    }
                }
            }
            engine.release();
        });
    }
}

/// Writes the product of a block and a panel, or some steps of it, to `rows` rows of `columns` values, which begin `stride` values
/// apart, or adds it to them.
///
/// # Safety
/// These values are writable, and readable if the product is added.
unsafe fn write_or_add<E: Engine>(
    engine: &mut E,
    program: Program,
    [moving, weights]: [&[Line]; 2],
    place: *mut f32,
    stride: usize,
    [rows, columns]: [usize; 2],
    add: bool,
) {
    if rows == BLOCK && columns == BLOCK {
        // SAFETY: all 32 rows of 32 values may be written, and read if the product is added.
        return unsafe {
            match add {
                true => engine.add(program, moving, weights, place, stride),
                false => engine.block(program, moving, weights, BLOCK, place, stride),
            }
        };
    }
    let mut sums = Sums::ZERO;
    let places = |r: usize| {
        let row = r * stride;
        // SAFETY: among the values that the caller named.
        (0..columns).map(move |n| (r * BLOCK + n, unsafe { place.add(row + n) }))
    };
    if add {
        for (at, from) in (0..rows).flat_map(places) {
            // SAFETY: readable, as the caller says.
            sums.0[at] = unsafe { from.read() };
        }
    }
    // SAFETY: `sums` has 32 rows of 32 values.
    unsafe {
        match add {
            true => engine.add(program, moving, weights, sums.0.as_mut_ptr(), BLOCK),
            false => engine.block(program, moving, weights, rows, sums.0.as_mut_ptr(), BLOCK),
        }
    }
    for (at, to) in (0..rows).flat_map(places) {
        // SAFETY: writable, as the caller says.
        unsafe { to.write(sums.0[at]) };
    }
}

/// Steps of each part of a product of `all` steps, but for the last: parts are as long as each other, and [`DEEP`] at most.
fn even(all: usize) -> usize {
    all.div_ceil(all.div_ceil(DEEP))
}

/// The first `count` lines, with whatever they held.
fn resized(lines: &mut Vec<Line>, count: usize) -> &mut [Line] {
    if lines.len() < count {
        lines.resize(count, Line::ZERO);
    }
    &mut lines[..count]
}
