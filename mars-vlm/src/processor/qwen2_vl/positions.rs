//! Positions with three axes (Wang et al. 2024, arXiv 2409.12191): text counts on along all of them, the tokens of an
//! image share the time and take row and column from where the text had come to; text continues after the largest.

use crate::processor::pixels::ImageLayout;

/// Time, row and column of each token; `image` is the image token, `merge` the patches along a side of a token.
pub(super) fn along_three_axes(
    ids: &[u32],
    image: u32,
    layouts: &[ImageLayout],
    merge: usize,
) -> Vec<[u32; 3]> {
    let mut positions = Vec::with_capacity(ids.len());
    let (mut next, mut layouts) = (0u32, layouts.iter());
    while positions.len() < ids.len() {
        let shape = (ids[positions.len()] == image).then(|| layouts.next()).flatten().map(|l| l.shape);
        let Some(shape) = shape else {
            positions.push([next; 3]);
            next += 1;
            continue;
        };
        let (rows, cols) = ((shape.grid.rows / merge) as u32, (shape.grid.cols / merge) as u32);
        let cells = (0..rows).flat_map(|r| (0..cols).map(move |c| (r, c)));
        positions.extend(cells.map(|(r, c)| [next, next + r, next + c]));
        next += rows.max(cols);
    }
    positions.truncate(ids.len());
    positions
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::processor::pixels::{Grid, ImageShape};

    #[test]
    fn text_goes_on_behind_the_longer_side_of_an_image() {
        let layout = |rows, cols| {
            let grid = Grid { rows, cols };
            ImageLayout::plain(ImageShape { grid, tiles: rows * cols, features: rows * cols / 4 })
        };
        // Two words, an image of 2 x 3 tokens, one word, an image of one token, a word.
        let ids = [7, 7, 9, 9, 9, 9, 9, 9, 7, 9, 7];
        let found = along_three_axes(&ids, 9, &[layout(4, 6), layout(2, 2)], 2);
        let expected = [
            [0, 0, 0],
            [1, 1, 1],
            [2, 2, 2],
            [2, 2, 3],
            [2, 2, 4],
            [2, 3, 2],
            [2, 3, 3],
            [2, 3, 4],
            [5, 5, 5],
            [6, 6, 6],
            [7, 7, 7],
        ];
        assert_eq!(found, expected);
        assert_eq!(along_three_axes(&[1, 2], 9, &[], 2), [[0; 3], [1; 3]]);
    }
}
