/// A rectangle of a result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) row: usize,
    pub(super) height: usize,
    pub(super) panel: usize,
    pub(super) width: usize,
}

/// Splits `rows` x `panels`, both above zero, for `threads`. Rows come in multiples of `block` and at most `most` a task;
/// panels are split only where rows do not give each thread a task.
pub(super) fn tasks(rows: usize, panels: usize, block: usize, most: usize, threads: usize) -> Vec<Task> {
    let threads = threads.max(1);
    let even = rows.div_ceil(threads).div_ceil(block) * block;
    let height = even.min((most / block).max(1) * block);
    let down = rows.div_ceil(height);
    let across = if down >= threads { 1 } else { threads.div_ceil(down).min(panels) };
    let width = panels.div_ceil(across);
    let split = |row| {
        let of = move |panel| Task {
            row,
            height: height.min(rows - row),
            panel,
            width: width.min(panels - panel),
        };
        (0..panels).step_by(width).map(of)
    };
    (0..rows).step_by(height).flat_map(split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn tasks_cover_every_place_once(rows in 1usize..300, panels in 1usize..20, most in 0usize..200, threads in 0usize..9) {
            let mut seen = vec![0; rows * panels];
            for task in tasks(rows, panels, 32, most, threads) {
                prop_assert_eq!(task.row % 32, 0);
                for row in task.row..task.row + task.height {
                    for panel in task.panel..task.panel + task.width {
                        seen[row * panels + panel] += 1;
                    }
                }
            }
            prop_assert!(seen.iter().all(|count| *count == 1));
        }
    }
}
