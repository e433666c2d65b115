/// A rectangle of a result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Task {
    pub(super) row: usize,
    pub(super) height: usize,
    pub(super) panel: usize,
    pub(super) width: usize,
}

/// Tasks for each thread: one that waits finds another to do, so that all end at about the same time.
const FOR_EACH: usize = 4;

/// Splits `rows` x `panels`, both above zero, for `threads`. Rows come in multiples of `block` and at most `most` a task. Where that
/// does not give each thread [`FOR_EACH`] tasks, panels are split, into about `least` or more, and then rows.
pub(super) fn tasks(
    rows: usize,
    panels: usize,
    block: usize,
    most: usize,
    least: usize,
    threads: usize,
) -> Vec<Task> {
    let wanted = if threads > 1 { FOR_EACH * threads } else { 1 };
    let height = (most / block).max(1).min(rows.div_ceil(block)) * block;
    let down = rows.div_ceil(height);
    let across = wanted.div_ceil(down).min((panels / least).max(1));
    // Of equal height but for the last.
    let down = wanted.div_ceil(across).clamp(down, rows.div_ceil(block));
    let height = rows.div_ceil(down).div_ceil(block) * block;
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
        fn tasks_cover_every_place_once(rows in 1usize..300, panels in 1usize..20, most in 0usize..200, least in 1usize..4, threads in 0usize..9) {
            let mut seen = vec![0; rows * panels];
            for task in tasks(rows, panels, 32, most, least, threads) {
                prop_assert_eq!(task.row % 32, 0);
                prop_assert!(task.height <= most.max(32).next_multiple_of(32));
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
